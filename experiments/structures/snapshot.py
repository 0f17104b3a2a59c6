"""What a trace must leave as it is: everything that can be reached from a model, its output, and the generators."""

from __future__ import annotations

import copy
import random
import types
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.structures.draws import same_draws
from physprune_pl.networks.isolation import copied

Seen = dict[str, tuple[int, Any]]
"""Path -> identity and contents of what is found there."""


class Snapshot:
    """Parameters, buffers, hooks, attributes, nested containers, modes, gradients, outputs, inputs and generators."""

    def __init__(self, model: nn.Module, example: Any) -> None:
        self.example = copy.deepcopy(example)
        self.found = dict(_everything(model))
        self.output = _output(model, example)
        self.generators = _generators()

    def changes(self, model: nn.Module, example: Any) -> list[str]:
        """What is no longer as it was."""
        generators = _generators()
        now = dict(_everything(model))
        changes = [f"trace took {path} away" for path in self.found.keys() - now.keys()]
        changes += [f"trace added {path}" for path in now.keys() - self.found.keys()]
        for path in self.found.keys() & now.keys():
            (one, before), (other, after) = self.found[path], now[path]
            changes += [f"trace replaced {path}"] if one != other else []
            changes += [f"trace changed {path}"] if not _same(after, before) else []
        changes += [] if _same(_output(model, example), self.output) else ["trace changed the output"]
        changes += [] if _same(example, self.example) else ["trace changed the example input"]
        return changes + ([] if _same(generators, self.generators) else ["trace used a global random generator"])


def _everything(model: nn.Module) -> Iterator[tuple[str, tuple[int, Any]]]:
    """Yield all that hangs on a model, by the path that leads there first."""
    seen: dict[int, object] = {}
    waiting: deque[tuple[str, Any]] = deque([("model", model)])
    while waiting:
        path, value = waiting.popleft()
        inner = _inner(value)
        if inner is None or isinstance(value, tuple | str | bytes | int | float):
            yield path, (0 if inner is None and not callable(value) else id(type(value)), _contents(value))
        else:
            yield path, (id(value), _contents(value))
        if inner is not None and id(value) not in seen:
            seen[id(value)] = value
            waiting.extend((f"{path}{step}", part) for step, part in inner)


def _inner(value: Any) -> list[tuple[str, Any]] | None:
    """Return what a value holds, None of one that holds nothing."""
    if isinstance(value, Tensor):
        return [(".grad", value.grad), (".requires_grad", value.requires_grad)] if value.is_leaf else []
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", part) for key, part in value.items()]
    if isinstance(value, list | tuple | deque):
        return [(f"[{place}]", part) for place, part in enumerate(value)]
    if isinstance(value, types.FunctionType):
        return [(f" closure {place}", cell.cell_contents) for place, cell in enumerate(value.__closure__ or ())]
    if isinstance(value, partial):
        return [(" arguments", value.args), (" keywords", value.keywords)]
    if isinstance(value, type):
        return None
    return [(f".{name}", part) for name, part in vars(value).items()] if hasattr(value, "__dict__") else None


def _contents(value: Any) -> Any:
    """Return a copy of what a value is made of, without what it holds."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    return value if isinstance(value, bool | int | float | str | bytes | set | type(None)) else type(value).__name__


def _output(model: nn.Module, example: Any) -> Any:
    """Return what a copy of a model puts out, None if it does not run: it has a mind of its own, or no valid input."""
    with same_draws(1), torch.no_grad():
        try:
            args = copy.deepcopy(example)
            own = copied(model)
            got = own(**args) if isinstance(args, dict) else own(*args) if isinstance(args, tuple) else own(args)
            return [part for part in torch.utils._pytree.tree_leaves(got) if isinstance(part, Tensor)]
        except Exception:  # whatever a model raises, before and after must agree
            return None


def _generators() -> list[Any]:
    return [torch.get_rng_state(), random.getstate(), str(np.random.get_state(legacy=False))]


def _same(one: Any, two: Any) -> bool:
    if isinstance(two, Tensor):
        alike = isinstance(one, Tensor) and one.shape == two.shape and one.dtype == two.dtype
        return alike and bool(torch.equal(one, two) or torch.allclose(one, two, rtol=0, atol=0, equal_nan=True))
    if isinstance(two, dict):
        return isinstance(one, dict) and all(_same(one[key], two[key]) for key in two)
    if isinstance(two, list | tuple):
        return isinstance(one, list | tuple) and len(one) == len(two) and all(map(_same, one, two))
    return bool(one == two)
