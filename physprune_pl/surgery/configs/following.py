"""Configs of the transformers library follow a cut, as far as their numbers can describe it.

What they cannot describe they list: shapes, and the numbers that modules remember.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from physprune_pl.networks.names import plain
from physprune_pl.surgery.configs.blueprint import Blueprint, shapes_of
from physprune_pl.surgery.configs.description import description
from physprune_pl.surgery.configs.entries import Path, changed, set_entries
from physprune_pl.surgery.remembered import changed_numbers

SHAPES = "pruned_shapes"
"""Entry of a config that holds the shapes which its other entries do not describe."""
SIZES = "pruned_sizes"
"""Entry of a config that holds the numbers which modules remember, and its other entries do not describe."""


def follow_configs(model: nn.Module) -> list[str]:
    """Make the configs of all transformers models in a network describe their shapes, in place.

    Returns:
        Names of the classes whose config cannot; it lists their shapes as ``pruned_shapes`` instead, and as
        ``pruned_sizes`` the numbers that their modules remember.
    """
    return [type(part).__name__ for part in outermost(model) if not _follow(part)]


@dataclass(frozen=True)
class Followed:
    """A transformers model inside a network.

    Attributes:
        name: its path, empty for the network itself.
        model: the model.
    """

    name: str
    model: nn.Module

    @cached_property
    def _blueprint(self) -> Blueprint:
        return blueprint_of(self.model)

    def numbers_behind(self, places: Iterable[tuple[str, int]]) -> frozenset[tuple[tuple[Path, int], ...]]:
        """Return the numbers of the config, with their powers, that sizes follow, given as tensors and dimensions."""
        start = f"{self.name}." if self.name else ""
        inside = ((name.removeprefix(start), dim) for name, dim in places if name.startswith(start))
        found = (self._blueprint.explicit_powers.get(place, {}) for place in inside)
        return frozenset(tuple(sorted(powers.items(), key=str)) for powers in found if powers)

    def describes(self) -> bool:
        """Return whether numbers of its config can describe the model as it is now."""
        return description(self._blueprint, self.model) is not None


def followed(model: nn.Module) -> Iterator[Followed]:
    """Yield the transformers models in a network that are part of no other."""
    outer = {id(part) for part in outermost(model)}
    yield from (Followed(plain(name), part) for name, part in model.named_modules() if id(part) in outer)


def blueprint_of(model: nn.Module) -> Blueprint:
    """Return the class of a transformers model and its config, without what a cut listed there."""
    config: Any = copy.deepcopy(model.config)
    for entry in (SHAPES, SIZES):
        if hasattr(config, entry):
            delattr(config, entry)
    return Blueprint(type(model), config)


def _follow(model: Any) -> bool:
    blueprint, config = blueprint_of(model), model.config
    for entry in (SHAPES, SIZES):
        if hasattr(config, entry):
            delattr(config, entry)
    changes = description(blueprint, model)
    if changes is None:
        _list(config, blueprint, model)
        return False
    if changes:
        set_entries(config, changes)
        # Entries that follow from those that have changed.
        for name, value in vars(changed(config, {})).items():
            if type(value) is int and type(getattr(config, name, None)) is int:
                setattr(config, name, value)
    return True


def _list(config: Any, blueprint: Blueprint, model: nn.Module) -> None:
    """Write into a config what else a network needs, beside its entries, to get the shapes of the cut one."""
    standard = {} if blueprint.standard is None else shapes_of(blueprint.standard)
    shapes = {name: list(shape) for name, shape in shapes_of(model).items() if standard.get(name) != shape}
    sizes = {} if blueprint.standard is None else changed_numbers(blueprint.standard, model)
    setattr(config, SHAPES, shapes)
    setattr(config, SIZES, {name: list(pair) for name, pair in sizes.items()})


def listed(config: Any) -> tuple[Mapping[str, tuple[int, ...]], Mapping[str, tuple[int, int]]]:
    """Return the shapes and the numbers, before and after, that a cut listed in a config."""
    shapes, sizes = getattr(config, SHAPES, {}), getattr(config, SIZES, {})
    pairs = {name: (int(before), int(after)) for name, (before, after) in sizes.items()}
    return {name: tuple(shape) for name, shape in shapes.items()}, pairs


def outermost(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the transformers models that are part of no other."""
    # The library itself would import a good part of it when asked for the class.
    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    if kind is None:
        return
    if isinstance(model, kind):
        yield model
        return
    for child in model.children():
        yield from outermost(child)
