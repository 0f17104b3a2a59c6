"""Which sizes of a network the numbers in its config stand for: seen by building it with one of them doubled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from physprune_pl.attention.head_sizes import COUNTS
from physprune_pl.networks.isolation import saved_random_state
from physprune_pl.surgery.configs.entries import HEAD_SIZES, Number, Numbers, Path, changed, numbers, unset

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Place = tuple[str, int | str]
"""A tensor and one of its dimensions, or a module and the attribute in which it remembers heads or their size."""
Sizes = dict[Place, int]
Powers = dict[Path, int]
"""The numbers that a size is proportional to (1), or inversely (-1)."""

# What an entry that is None is set to, to see what it stands for: even, a multiple of most numbers of groups.
_TRIED = 24


def shapes_of(model: nn.Module) -> Shapes:
    """Shapes of all parameters and buffers, a tied one under each of its names."""
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: tuple(tensor.shape) for name, tensor in named}


def heads_of(model: nn.Module) -> Sizes:
    """Numbers of heads, sizes proportional to them and sizes of a head that modules remember under the usual names."""
    return {
        (name, attribute): value
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if type(value) is int and attribute in (*COUNTS, *HEAD_SIZES)
    }


def sizes_of(model: nn.Module) -> Sizes:
    """Every dimension of every tensor, and everything that is remembered of heads."""
    dims: Sizes = {(name, dim): size for name, shape in shapes_of(model).items() for dim, size in enumerate(shape)}
    return dims | heads_of(model)


def describes(rebuilt: nn.Module, model: nn.Module) -> bool:
    """Return whether a network has the shapes of another, and its modules agree in class, heads and scales."""
    if shapes_of(rebuilt) != shapes_of(model):
        return False
    pairs = zip(rebuilt.modules(), model.modules(), strict=True)
    return all(_kind(one) is _kind(other) and _remembers(one) == _remembers(other) for one, other in pairs)


def _kind(module: nn.Module) -> type[nn.Module]:
    """Return the class of a module; with weight norm, say, every module has one of its own besides."""
    kind: type[nn.Module] = type_before_parametrizations(module)
    return kind


def _remembers(module: nn.Module) -> dict[str, Any]:
    """What a module remembers of its heads, and all of its scales."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, float) or (type(value) is int and name in (*COUNTS, *HEAD_SIZES))
    }


@dataclass(frozen=True)
class Blueprint:
    """A class of transformers and a config for it.

    Attributes:
        kind: the class.
        config: the config; it is not changed.
    """

    kind: type[nn.Module]
    config: Any

    def built(self, values: Mapping[Path, Number | None] | None = None) -> nn.Module | None:
        """Return a network without memory for its weights, some entries exchanged; None if the class refuses it."""
        with torch.device("meta"), saved_random_state():
            try:
                return self.kind(changed(self.config, values or {}))
            except Exception:  # what a class has against a config is its own
                return None

    @cached_property
    def standard(self) -> nn.Module | None:
        """The network as the config is."""
        return self.built()

    @cached_property
    def sizes(self) -> Sizes:
        """Sizes of the network as the config is."""
        return {} if self.standard is None else sizes_of(self.standard)

    @cached_property
    def explicit(self) -> Numbers:
        """Entries that are None, with the number that they stand for when nothing else changes."""
        found = {path: self._default(path) for path in unset(self.config)}
        return {path: value for path, value in found.items() if value is not None}

    @cached_property
    def plain_powers(self) -> dict[Place, Powers]:
        """The numbers that each size follows."""
        return self.dependencies({})

    @cached_property
    def explicit_powers(self) -> dict[Place, Powers]:
        """The same with the entries that are None as numbers of their own."""
        return self.dependencies(self.explicit) if self.explicit else self.plain_powers

    def dependencies(self, given: Numbers) -> dict[Place, Powers]:
        """Return the numbers that each size follows.

        Args:
            given: entries to exchange before: those of :attr:`explicit`, or none.
        """
        found: dict[Place, Powers] = {}
        for path, value in {**numbers(self.config), **given}.items():
            for place, power in self._moved(path, value, given):
                found.setdefault(place, {})[path] = power
        return found

    def _moved(self, path: Path, value: Number, given: Numbers) -> Iterator[tuple[Place, int]]:
        """Yield the sizes that double, or halve, with a number."""
        other = self.built({**given, path: 2 * value})
        after = {} if other is None else sizes_of(other)
        for place, size in self.sizes.items():
            if after.get(place) == 2 * size:
                yield place, 1
            elif 2 * after.get(place, 0) == size > 0:
                yield place, -1

    def _default(self, path: Path) -> int | None:
        """Return the number that an entry stands for while it is None; None if it is no size."""
        tries = [self.built({path: _TRIED * factor}) for factor in (1, 2)]
        if any(one is None for one in tries):
            return None
        one, two = (sizes_of(network) for network in tries if network is not None)
        follow = [place for place, size in one.items() if two.get(place) == 2 * size and place in self.sizes]
        values = {_TRIED * self.sizes[place] / one[place] for place in follow}
        value = values.pop() if len(values) == 1 else 0.5
        return int(value) if value == int(value) else None
