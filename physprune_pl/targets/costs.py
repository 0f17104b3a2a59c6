"""What a model would cost after a cut, computed from its trace without running it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from physprune_pl.structure import ChannelGroup, MixingCall, Trace

CostKind = Literal["macs", "params", "latency"]
Floats = NDArray[np.float64]


class Times(Protocol):
    """Says how long a network takes at other widths."""

    def placed(self, place: Callable[[str, int], tuple[int | None, int]]) -> Callable[[Floats], Floats]:
        """Return milliseconds as a function of sizes.

        Args:
            place: tensor and dimension -> place of its size among the sizes, None where it never shrinks, and the size.
        """
        ...


@dataclass(frozen=True)
class Cost:
    """MACs of one sample, parameters that it uses, and milliseconds where times are known, else 0."""

    macs: int
    params: int
    latency: float = 0.0


@dataclass(frozen=True)
class _Sum:
    """sum over terms t of factor[t] * product over j of kept[axes[t, j]]; short terms are padded with an axis of 1."""

    factors: Floats
    axes: NDArray[np.intp]

    def __call__(self, kept: Floats) -> Floats:
        value: Floats = kept[..., self.axes].prod(axis=-1) @ self.factors
        return value


class CostModel:
    """Cost of a traced model as a function of the removed channels: pure arithmetic on shapes.

        kept(tensor, dim) = size - number of indices that removed channels own
        params            = sum over parameters that are used of prod over dims of kept
        macs              = fixed_macs + sum over calls of positions * prod over dims of kept

    The positions of a call that channels pass along another axis shrink with that.

    The rows and the columns of a weight may belong to different groups or to the same one, one dimension may belong
    to several groups, and a channel may own several indices of it. Figures are exact below 2^53.

    Args:
        trace: the traced model.
        times: how long it takes at other widths, None where nobody asks.

    Attributes:
        dense: cost of the model as it was traced.
        patterns: distinct ways in which groups own indices: (group, indices owned by each of its channels [K]).
    """

    def __init__(self, trace: Trace, times: Times | None = None) -> None:
        self.patterns: list[tuple[int, NDArray[np.int64]]] = []
        self._axes: dict[tuple[int, tuple[int, ...]], int] = {}
        self._axis_of: dict[tuple[str, int], int] = {}
        self._shapes = trace.shapes
        self._group_sizes = [group.size for group in trace.groups]
        self._lay_out_axes(trace.groups)
        parameters = [name for name in trace.shapes if name in trace.parameters]
        fixed = MixingCall("", trace.fixed_macs, dims=())
        self._sums: dict[CostKind, Callable[[Floats], Floats]] = {
            "params": self._sum_up([MixingCall(name, 1) for name in parameters]),
            "macs": self._sum_up([fixed, *trace.calls]),
            "latency": _no_time if times is None else times.placed(self.place),
        }
        self.dense = self._cost(np.zeros(len(self.patterns)))

    def __call__(self, removed: Sequence[Tensor]) -> Cost:
        """Cost after removing channels.

        Args:
            removed: one boolean tensor [K] per group, True where the channel goes.

        Raises:
            ValueError: if the number of tensors or a shape does not fit the groups.
        """
        if [tuple(mask.shape) for mask in removed] != [(size,) for size in self._group_sizes]:
            expected = f"one boolean tensor per group, of sizes {self._group_sizes}"
            raise ValueError(f"removed: expected {expected}, got shapes {[tuple(mask.shape) for mask in removed]}")
        return self._cost(self._indices_gone(removed))

    def evaluate(self, kind: CostKind, removed: NDArray[Any]) -> Floats:
        """Cost [...] of removed indices [..., P], one number for each of the P patterns; batches go in one call."""
        return self._sums[kind](self._kept(removed))

    def place(self, name: str, dim: int) -> tuple[int | None, int]:
        """Return where the size of a dimension stands among :meth:`sizes`, None if no group owns it, and the size."""
        return self._axis_of.get((name, dim)), self._shapes[name][dim]

    def sizes(self, removed: Sequence[Tensor]) -> Floats:
        """Sizes [A] of all dimensions that groups own, after removing channels given as to the model itself."""
        return self._kept(self._indices_gone(removed))

    def _indices_gone(self, removed: Sequence[Tensor]) -> Floats:
        masks = [mask.detach().cpu().numpy().astype(bool) for mask in removed]
        return np.array([counts[masks[group]].sum() for group, counts in self.patterns], dtype=float)

    def _kept(self, removed: NDArray[Any]) -> Floats:
        kept = self._sizes - removed @ self._incidence
        return np.concatenate([kept, np.ones((*kept.shape[:-1], 1))], axis=-1)

    def _cost(self, removed: Floats) -> Cost:
        macs, params = (round(float(self.evaluate(kind, removed))) for kind in ("macs", "params"))
        return Cost(macs, params, float(self.evaluate("latency", removed)))

    def _lay_out_axes(self, groups: Sequence[ChannelGroup]) -> None:
        """Give every dimension that groups own an axis; dimensions of one size owned alike share it."""
        numbers: dict[tuple[int, bytes], int] = {}
        for place, owners in _owned(groups).items():
            pattern = []
            for group, counts in owners.items():
                number = numbers.setdefault((group, counts.tobytes()), len(numbers))
                if number == len(self.patterns):
                    self.patterns.append((group, counts))
                pattern.append(number)
            name, dim = place
            axis = (self._shapes[name][dim], tuple(sorted(pattern)))
            self._axis_of[place] = self._axes.setdefault(axis, len(self._axes))
        self._sizes = np.array([size for size, _ in self._axes], dtype=float)
        self._incidence = np.zeros((len(self.patterns), len(self._axes)))
        for (_, pattern_numbers), axis_number in self._axes.items():
            self._incidence[list(pattern_numbers), axis_number] = 1

    def _sum_up(self, calls: Sequence[MixingCall]) -> _Sum:
        """Merge calls into terms: dimensions that no group owns are part of the factor."""
        terms: defaultdict[tuple[int, ...], Fraction] = defaultdict(Fraction)
        for call in calls:
            places = [(call.weight, dim) for dim in self._dims(call)]
            share = call.share
            if call.across is not None:
                places.append(call.across)
                share /= self._shapes[call.across[0]][call.across[1]]
            axes = sorted(self._axis_of[place] for place in places if place in self._axis_of)
            rest = prod(self._shapes[name][dim] for name, dim in places if (name, dim) not in self._axis_of)
            terms[tuple(axes)] += share * call.positions * rest
        width = max((len(axes) for axes in terms), default=0)
        padded = [[*axes, *[len(self._axes)] * (width - len(axes))] for axes in terms]
        axes_table = np.array(padded, dtype=np.intp).reshape(len(terms), width)
        return _Sum(np.array(list(terms.values()), dtype=float), axes_table)

    def _dims(self, call: MixingCall) -> Sequence[int]:
        return range(len(self._shapes[call.weight])) if call.dims is None else call.dims


def _no_time(sizes: Floats) -> Floats:
    return np.zeros(sizes.shape[:-1])


def _owned(groups: Sequence[ChannelGroup]) -> dict[tuple[str, int], dict[int, NDArray[np.int64]]]:
    """(tensor, dim) -> group number -> how many indices each channel owns there [K]."""
    owned: dict[tuple[str, int], dict[int, NDArray[np.int64]]] = defaultdict(dict)
    for number, group in enumerate(groups):
        for part in group.slices:
            counts = np.bincount(part.channel, minlength=group.size).astype(np.int64)
            before = owned[part.name, part.dim].get(number)
            owned[part.name, part.dim][number] = counts if before is None else before + counts
    return owned
