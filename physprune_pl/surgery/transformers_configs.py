"""Configs of the transformers library follow a cut, as far as one number for all layers can describe it.

What a config describes is found out by building the network from it, without memory for its weights: first as the
config is, then with one number doubled at a time, which shows the dimensions that the number stands for.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from physprune_pl.attention.head_sizes import COUNTS
from physprune_pl.networks.isolation import saved_random_state

SHAPES = "pruned_shapes"
"""Entry of a config that holds the shapes which its other entries do not describe."""

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

_HEAD_SIZES = ("head_dim", "head_size", "attention_head_size", "d_kv", "num_key_value_groups")


def follow_configs(model: nn.Module) -> list[str]:
    """Make the configs of all transformers models in a network describe their shapes, in place.

    Returns:
        Names of the classes whose config cannot; it lists their shapes as ``pruned_shapes`` instead.
    """
    return [type(part).__name__ for part in _outermost(model) if not _follow(part)]


def _follow(model: Any) -> bool:
    config = model.config
    plain = _built(model, config)
    shapes = _shapes(model)
    if plain is None:
        setattr(config, SHAPES, {name: list(shape) for name, shape in shapes.items()})
        return False
    if hasattr(config, SHAPES):
        delattr(config, SHAPES)
    standard = _shapes(plain)
    if standard == shapes:
        return True
    changes = _Description(model, standard, shapes).changes()
    for name, value in (changes or {}).items():
        setattr(config, name, value)
    if changes is None:
        setattr(config, SHAPES, {name: list(shape) for name, shape in shapes.items() if standard.get(name) != shape})
    return changes is not None


def _outermost(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the transformers models that are part of no other."""
    # The library itself would import a good part of it when asked for the class.
    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    if kind is None:
        return
    if isinstance(model, kind):
        yield model
        return
    for child in model.children():
        yield from _outermost(child)


def _shapes(model: nn.Module) -> Shapes:
    """Shapes of all parameters, a tied one under each of its names."""
    return {name: tuple(tensor.shape) for name, tensor in model.named_parameters(remove_duplicate=False)}


def _built(model: nn.Module, config: Any) -> nn.Module | None:
    """Return a network of the same class from a copy of a config; None if the class refuses it."""
    with torch.device("meta"), saved_random_state():
        try:
            return type(model)(copy.deepcopy(config))
        except Exception:  # what a class has against a config is its own
            return None


@dataclass
class _Description:
    """Looks for the numbers in a config that describe a cut network.

    Attributes:
        model: the cut network.
        standard: shapes that its config describes so far.
        shapes: shapes that it has.
    """

    model: Any
    standard: Shapes
    shapes: Shapes

    def changes(self) -> dict[str, int] | None:
        """Return the numbers that change; None if no numbers describe the network."""
        if self.standard.keys() != self.shapes.keys():
            return None
        fixed = self._head_size()
        changes = dict(fixed)
        for name, old in self._numbers():
            value = self._value(name, old, fixed)
            if value is None:
                return None
            changes[name] = value
        rebuilt = self._with(changes)
        return changes if rebuilt is not None and _describes(rebuilt, self.model) else None

    def _numbers(self) -> list[tuple[str, int]]:
        """Numbers of the config that may stand for a dimension that has changed."""
        pairs = ((self.standard[name], self.shapes[name]) for name in self.shapes)
        sizes = {one for before, after in pairs for one, other in zip(before, after, strict=True) if one != other}
        entries = self.model.config.to_dict().items()
        numbers = ((name, value) for name, value in entries if type(value) is int and name not in _HEAD_SIZES)
        return [(name, value) for name, value in numbers if value > 1 and any(size % value == 0 for size in sizes)]

    def _head_size(self) -> dict[str, int]:
        """Heads go as a whole: their size is fixed, so that it no longer follows from two other numbers."""
        sizes = {vars(module).get("head_dim") for module in self.model.modules()} - {None}
        given = getattr(self.model.config, "head_dim", None)
        return {"head_dim": sizes.pop()} if given is None and len(sizes) == 1 else {}

    def _with(self, changes: dict[str, int]) -> nn.Module | None:
        config = copy.deepcopy(self.model.config)
        for name, value in changes.items():
            setattr(config, name, value)
        return _built(self.model, config)

    def _value(self, name: str, old: int, fixed: dict[str, int]) -> int | None:
        """Return what a number of the config has to be; None if dimensions that it stands for ask for several."""
        doubled = self._with({**fixed, name: 2 * old})
        wanted = {old * share for share in self._shares(_shapes(doubled))} if doubled is not None else set()
        if not wanted:
            wanted = {Fraction(count) for count in self._remembered(name)} or {Fraction(old)}
        value = wanted.pop()
        return int(value) if not wanted and value.denominator == 1 else None

    def _shares(self, doubled: Shapes) -> Iterator[Fraction]:
        """Yield what is left of every dimension that doubles."""
        for name, before in self.standard.items():
            for one, other, now in zip(before, doubled.get(name, before), self.shapes[name], strict=True):
                if other == 2 * one:
                    yield Fraction(now, one)

    def _remembered(self, name: str) -> set[int]:
        """Return what the modules of the cut network remember under the name of a number of heads."""
        values = (getattr(module, name, None) for module in self.model.modules() if name in COUNTS)
        return {value for value in values if type(value) is int}


def _describes(rebuilt: nn.Module, model: nn.Module) -> bool:
    """Whether a network has the shapes of another, and its modules agree in class, heads and scales."""
    if _shapes(rebuilt) != _shapes(model):
        return False
    pairs = zip(rebuilt.modules(), model.modules(), strict=True)
    return all(type(one) is type(other) and _remembers(one) == _remembers(other) for one, other in pairs)


def _remembers(module: nn.Module) -> dict[str, Any]:
    """What a module remembers of its heads, and all of its scales."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, float) or (type(value) is int and name in (*COUNTS, *_HEAD_SIZES))
    }


def load_folder(model: nn.Module, folder: Path, reshape: Callable[[nn.Module, Shapes], None]) -> None:
    """Load what ``save_pretrained`` wrote of a cut network into a network that may still be dense.

    Args:
        model: a transformers model.
        folder: where config and weights are.
        reshape: gives a network new shapes.

    Raises:
        ValueError: the model is of no class of transformers, or the folder holds another network.
    """
    if next(_outermost(model), None) is not model:
        raise ValueError(f"path: {str(folder)!r} is a folder of transformers, so model must be one of its models too")
    kind: Any = type(model)

    def built(self: Any, config: Any, *args: Any, **kwargs: Any) -> None:
        kind.__init__(self, config, *args, **kwargs)
        listed = getattr(config, SHAPES, {})
        reshape(self, {name: tuple(shape) for name, shape in listed.items()})

    try:
        loaded = type(kind.__name__, (kind,), {"__init__": built}).from_pretrained(folder)  # type: ignore[attr-defined]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"path: {str(folder)!r} does not load as a {kind.__name__}: {error}") from error
    reshape(model, _shapes(loaded))
    model.load_state_dict(loaded.state_dict())
    follow_configs(model)
