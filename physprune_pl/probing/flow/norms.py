"""Norms over channels, and what norms written by hand are made of: statistics over channels, such as means.

A norm takes from every channel a number that all of them make. Inside such an operation a channel keeps its identity:
it computes on clean data, and NaN is put back where it was, or stays out of a number that belongs to no channel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.operations.operation_rows import Norm, NormOfGroups, NormOfShape, Statistic
from physprune_pl.probing.sizes.sizes import SizeWatch
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Kind, Tie
from physprune_pl.probing.watching.tainting import along


@dataclass(frozen=True)
class Walls:
    """Which statistics of a model are over channels, by their number in a run, and which are not.

    Attributes:
        found: over channels.
        others: over positions, samples or what else there is.
    """

    found: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()


class NormNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    mode: str
    ties: list[Tie]
    inexact: set[Family]

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which slots of a norm are NaN now."""

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""


@dataclass
class NormWatch:
    """Watches norms and statistics in one run.

    Attributes:
        notes: where what was seen is written down.
        walls: what is known of the statistics.
        remembered: notes which modules remember the sizes of norms.
        sizes: family of a norm -> numbers that the norm takes together for each of its slots.
        leaking: walls that put out nothing but NaN, to show where it goes.
        calls: number of norms and statistics so far.
        mixed: number of a statistic that is not known -> where, along its axes, some entries were NaN and some not.
        alike: numbers of those that met NaN, but never beside other entries of its axes.
        weights: dimensions of weights over which a statistic is taken, such as the inputs of one that is standardised.
    """

    notes: NormNotes
    walls: Walls
    remembered: SizeWatch
    leaking: Collection[int] = ()
    sizes: dict[Family, int] = field(default_factory=dict)
    calls: int = 0
    mixed: dict[int, Tensor] = field(default_factory=dict)
    alike: set[int] = field(default_factory=set)
    weights: set[Family] = field(default_factory=set)

    def of_shape(self, call: Invocation[NormOfShape]) -> Any:
        """Compute a norm over the last axes on clean data and put the taint back."""
        nan, names = self._next(call)
        shape = call.get(call.row.shape)
        sizes = shape if isinstance(shape, list | tuple) else (shape,)
        for name, tensor in names.items():
            self._see_dims(nan, tensor.shape, name)
        if not names:
            self._see_dims(nan, torch.Size(sizes), self._name)
        first = next(iter(names), None)
        places = [(first, dim) if first else (self._name, dim - len(sizes)) for dim in range(len(sizes))]
        self.remembered.norm(sizes, places)
        return call.run_clean().masked_fill(nan, float("nan"))

    def of_groups(self, call: Invocation[NormOfGroups]) -> Any:
        """Compute a norm over groups of channels likewise."""
        nan, names = self._next(call)
        for family in [(name, 0) for name in names] or [(self._name, 1 - nan.dim())]:
            self._see_groups(nan, call.get(call.row.count), family)
        return call.run_clean().masked_fill(nan, float("nan"))

    def _next(self, call: Invocation[Norm]) -> tuple[Tensor, dict[str, Tensor]]:
        """Count a norm; return where its data are NaN, and its scale and shift by their names."""
        self.calls += 1
        tensors = call.row.tensors(call.args, call.kwargs)
        named = ((self.notes.name_of(tensor), tensor) for tensor in tensors)
        return call.data.isnan(), {name: tensor for name, tensor in named if name is not None}

    @property
    def _name(self) -> str:
        return f"{self.notes.mode} norm {self.calls}"

    def _see_dims(self, nan: Tensor, shape: torch.Size, name: str) -> None:
        """Record what reaches a norm over the last dimensions; a nameless one's are counted from the end."""
        for dim in range(len(shape)):
            axis = dim - len(shape)
            self._see((name, axis if name == self._name else dim), along(nan, axis), shape.numel() // shape[dim])

    def _see_groups(self, nan: Tensor, groups: int, family: Family) -> None:
        self.remembered.groups(groups, family, nan.shape[1])
        if groups == 1:
            self._see(family, along(nan, 1), nan[0, 0].numel())
            return
        self.notes.see("norm", family, along(nan, 1))
        index, size = torch.arange(nan.shape[1]), nan.shape[1] // groups
        self.notes.ties.append((family, index, family, index // size * size))

    def _see(self, family: Family, pattern: Tensor, beside: int, exact: bool = False) -> None:
        self.notes.see("norm", family, pattern)
        self.sizes[family] = beside
        if not exact:
            self.notes.inexact.add(family)

    def statistic(self, call: Invocation[Statistic]) -> Any:
        """Compute what is taken over an axis; over channels, the channels keep their identity."""
        self.calls += 1
        axes = call.row.axes(call.args, call.kwargs)
        name = None if call.row.exact else self.notes.name_of(call.data)
        if name is not None:
            self.weights |= {(name, axis % call.data.dim()) for axis in axes}
        if not axes or not call.data.is_floating_point() or self.calls in self.walls.others:
            return call.run()
        if self.calls not in self.walls.found:
            return self._unknown(call, axes)
        nan = call.data.isnan()
        for axis in axes:
            self._see((self._name, axis), along(nan, axis), 1, call.row.exact)
        return self._clean(call, nan)

    def _unknown(self, call: Invocation[Statistic], axes: tuple[int, ...]) -> Any:
        """Compute a statistic of which nobody knows yet what it is over, as if it were over channels if it may be."""
        nan = call.data.isnan()
        some = nan.any(axes, keepdim=True) & ~nan.all(axes, keepdim=True)
        if not bool(some.any()):
            self.alike |= {self.calls} if bool(nan.any()) else set()
            return call.run()
        self.mixed[self.calls] = some
        return self._clean(call, nan)

    def _clean(self, call: Invocation[Statistic], nan: Tensor) -> Any:
        output = call.run_clean()
        if call.row.same_shape:
            return output.masked_fill(nan, float("nan"))
        if self.calls in self.leaking:
            return torch.utils._pytree.tree_map(lambda part: part * float("nan"), output)
        return output


def over_channels(one: NormWatch, other: NormWatch) -> Walls:
    """Return what two runs tell of the statistics, the second with those channels NaN that were not in the first.

    A statistic over channels has some of them NaN in both runs, at the same place. One over positions has not: a
    channel is NaN in one of the runs only.
    """
    known = one.walls
    tried: Collection[int] = one.mixed.keys() | other.mixed.keys()
    found = {
        call
        for call in one.mixed.keys() & other.mixed.keys()
        if one.mixed[call].shape == other.mixed[call].shape and bool((one.mixed[call] & other.mixed[call]).any())
    }
    return Walls(known.found | found, known.others | (set(tried) - found))
