"""Norms over channels, and what norms written by hand are made of: statistics over channels, such as means.

A norm takes from every channel a number that all of them make. Inside such an operation a channel keeps its identity:
it computes on clean data, and NaN is put back where it was, or stays out of a number that belongs to no channel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from physprune_pl.probing.observations import Family, Tie
from physprune_pl.probing.operations import GROUP_NORM, swapped
from physprune_pl.probing.sizes import SizeWatch
from physprune_pl.probing.tainting import along, cleaned

Call = Callable[..., Any]


@dataclass(frozen=True)
class Statistic:
    """How an operation takes something over an axis.

    Attributes:
        place: position of the argument that names the axis, or axes.
        exact: whether channels that are zero do not count.
        same_shape: whether the result has an entry for every channel, as that of a division by their length has.
        default: the axis where none is given.
    """

    place: int = 1
    exact: bool = False
    same_shape: bool = False
    default: int | None = None

    def axes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
        """Return the axes of a call, counted from the end; none of what is taken over all."""
        data = args[0] if args else kwargs["input"]
        given = args[self.place] if len(args) > self.place else kwargs.get("dim", kwargs.get("axis", self.default))
        found = given if isinstance(given, list | tuple) else (given,)
        if not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in found):
            return ()
        return tuple(axis % data.dim() - data.dim() for axis in found)


STATISTICS: dict[Call, Statistic] = {
    **dict.fromkeys((torch.mean, Tensor.mean, torch.var, Tensor.var, torch.std, Tensor.std), Statistic()),
    **dict.fromkeys((torch.var_mean, torch.std_mean, torch.logsumexp, Tensor.logsumexp), Statistic()),
    **dict.fromkeys((torch.amax, Tensor.amax, torch.amin, Tensor.amin), Statistic()),
    **dict.fromkeys((torch.max, Tensor.max, torch.min, Tensor.min), Statistic()),
    **dict.fromkeys((torch.norm, Tensor.norm, torch.linalg.norm), Statistic(2, exact=True)),
    torch.linalg.vector_norm: Statistic(2, exact=True),
    F.normalize: Statistic(2, exact=True, same_shape=True, default=1),
}


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

    def see_norm(self, family: Family, pattern: Tensor) -> None:
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
    """

    notes: NormNotes
    walls: Walls
    remembered: SizeWatch
    leaking: Collection[int] = ()
    sizes: dict[Family, int] = field(default_factory=dict)
    calls: int = 0
    mixed: dict[int, Tensor] = field(default_factory=dict)

    def norm(self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute a norm over channels on clean data and put the taint back."""
        self.calls += 1
        data = args[0] if args else kwargs["input"]
        nan = data.isnan()
        output = func(*swapped(args, kwargs, data, cleaned(data)), **kwargs)
        named = [value for value in (*args[1:], *kwargs.values()) if self.notes.name_of(value)]
        names = [str(self.notes.name_of(tensor)) for tensor in named]
        if func in GROUP_NORM:
            self._see_groups(nan, args[1] if len(args) > 1 else kwargs["num_groups"], names)
        else:
            self._see_shape(nan, args[1] if len(args) > 1 else kwargs["normalized_shape"], named, names)
        return output.masked_fill(nan, float("nan"))

    @property
    def _name(self) -> str:
        return f"{self.notes.mode} norm {self.calls}"

    def _see_shape(self, nan: Tensor, shape: Any, named: list[Any], names: list[str]) -> None:
        for tensor, name in zip(named, names, strict=True):
            self._see_dims(nan, tensor.shape, name)
        sizes = shape if isinstance(shape, list | tuple) else (shape,)
        if not names:
            self._see_dims(nan, torch.Size(sizes), self._name)
        places = [(names[0], dim) if names else (self._name, dim - len(sizes)) for dim in range(len(sizes))]
        self.remembered.norm(sizes, places)

    def _see_dims(self, nan: Tensor, shape: torch.Size, name: str) -> None:
        """Record what reaches a norm over the last dimensions; a nameless one's are counted from the end."""
        for dim in range(len(shape)):
            axis = dim - len(shape)
            self._see((name, axis if name == self._name else dim), along(nan, axis), shape.numel() // shape[dim])

    def _see_groups(self, nan: Tensor, groups: int, names: list[str]) -> None:
        size = nan.shape[1] // groups
        for name in names or [self._name]:
            family = (name, 0 if names else 1 - nan.dim())
            self.remembered.groups(groups, family, nan.shape[1])
            if groups == 1:
                self._see(family, along(nan, 1), nan[0, 0].numel())
                continue
            self.notes.see_norm(family, along(nan, 1))
            index = torch.arange(nan.shape[1])
            self.notes.ties.append((family, index, family, index // size * size))

    def _see(self, family: Family, pattern: Tensor, beside: int, exact: bool = False) -> None:
        self.notes.see_norm(family, pattern)
        self.sizes[family] = beside
        if not exact:
            self.notes.inexact.add(family)

    def statistic(self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute what is taken over an axis; over channels, the channels keep their identity."""
        self.calls += 1
        rule, data = STATISTICS[func], args[0] if args else kwargs["input"]
        axes = rule.axes(args, kwargs)
        if not axes or not data.is_floating_point() or self.calls in self.walls.others:
            return func(*args, **kwargs)
        if self.calls not in self.walls.found:
            return self._unknown(func, args, kwargs, axes)
        nan = data.isnan()
        for axis in axes:
            self._see((self._name, axis), along(nan, axis), 1, rule.exact)
        return self._clean(func, args, kwargs, nan, rule)

    def _unknown(self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any], axes: tuple[int, ...]) -> Any:
        """Compute a statistic of which nobody knows yet what it is over, as if it were over channels if it may be."""
        nan = args[0].isnan() if args else kwargs["input"].isnan()
        some = nan.any(axes, keepdim=True) & ~nan.all(axes, keepdim=True)
        if not bool(some.any()):
            return func(*args, **kwargs)
        self.mixed[self.calls] = some
        return self._clean(func, args, kwargs, nan, STATISTICS[func])

    def _clean(self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any], nan: Tensor, rule: Statistic) -> Any:
        data = args[0] if args else kwargs["input"]
        output = func(*swapped(args, kwargs, data, cleaned(data)), **kwargs)
        if rule.same_shape:
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
