"""Bookkeeping of a trace: are its groups well formed, and is every module either cut or named?"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.structure import ChannelGroup, Trace


def module_of(parameter: str) -> str:
    """Path of the module that owns a parameter, seen through parametrizations."""
    return (
        parameter.split(".parametrizations.")[0] if ".parametrizations." in parameter else parameter.rpartition(".")[0]
    )


def filter_modules(groups: Sequence[ChannelGroup]) -> set[str]:
    """Modules whose output channels belong to a group."""
    parts = (part for group in groups for part in group.slices if part.role == "filter" and part.index)
    return {module_of(part.name) for part in parts}


def is_named(trace: Trace, module: str) -> bool:
    """Whether the module, or something in it, is listed as not pruned with a reason."""
    return any(
        (left.name == module or left.name.startswith(module + ".")) and bool(left.reason) for left in trace.left_whole
    )


def malformed(trace: Trace) -> list[str]:
    """What is wrong with the groups as data."""
    found, owners = [], Counter[tuple[str, int, int]]()
    for group in trace.groups:
        if group.size < 2:
            found.append(f"{group.name}: a group of {group.size}")
        if {channel for part in group.producing for channel in part.channel} != set(range(group.size)):
            found.append(f"{group.name}: channels without a producing slice")
        for part in group.slices:
            if part.name not in trace.shapes:
                found.append(f"{group.name}: {part.name} is no tensor of the model")
            elif not set(part.index) <= set(range(trace.shapes[part.name][part.dim])):
                found.append(f"{group.name}: {part.name} has no such index in dimension {part.dim}")
            owners.update({(part.name, part.dim, index) for index in part.index})
    return found + [f"{place} has {count} owners" for place, count in owners.items() if count > 1]


def unaccounted(trace: Trace) -> list[str]:
    """Modules with a mixing call whose outputs are neither in a group nor named."""
    producing = {part.name for group in trace.groups for part in group.producing if part.index}
    whole = {module_of(call.weight) for call in trace.calls if call.weight not in producing}
    return sorted(module for module in whole if not is_named(trace, module))


class Snapshot:
    """What a trace must leave as it is: tensors, plain attributes, modes, gradients, inputs and random generators."""

    def __init__(self, model: nn.Module, example: Any) -> None:
        self.example = copy.deepcopy(example)
        self.tensors = {name: (tensor, tensor.clone()) for name, tensor in _tensors(model)}
        self.modes = {name: module.training for name, module in model.named_modules()}
        self.generators = torch.get_rng_state(), random.getstate()

    def changes(self, model: nn.Module, example: Any) -> list[str]:
        """What is no longer as it was."""
        now = dict(_tensors(model))
        found = [f"trace replaced {name}" for name, (tensor, _) in self.tensors.items() if now.get(name) is not tensor]
        found += [f"trace changed {name}" for name, (_, old) in self.tensors.items() if not _same(now.get(name), old)]
        found += [f"trace left a gradient in {name}" for name, tensor in now.items() if tensor.grad is not None]
        found += [f"trace left NaN in {name}" for name, tensor in now.items() if bool(tensor.isnan().any())]
        modes = {name: module.training for name, module in model.named_modules()}
        found += ["trace changed training modes"] if modes != self.modes else []
        found += ["trace changed the example input"] if not _same(example, self.example) else []
        if not torch.equal(torch.get_rng_state(), self.generators[0]) or random.getstate() != self.generators[1]:
            found.append("trace used a global random generator")
        return found


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers, and tensors that modules keep as plain attributes."""
    yield from model.named_parameters()
    yield from model.named_buffers()
    for path, module in model.named_modules():
        yield from ((f"{path}.{key}", value) for key, value in vars(module).items() if isinstance(value, Tensor))


def _same(one: Any, two: Any) -> bool:
    if isinstance(two, Tensor):
        return isinstance(one, Tensor) and torch.equal(one, two)
    if isinstance(two, dict):
        return all(_same(one[key], two[key]) for key in two)
    return all(map(_same, one, two)) if isinstance(two, list | tuple) else bool(one == two)
