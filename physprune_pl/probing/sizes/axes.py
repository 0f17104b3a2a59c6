"""What views, splits and the like make of the axes of activations: parts that stay equal, factors, remembered sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.operations.axis_rows import Expansion, Indexing, MultipliedHalves, Narrowing, Parts, View
from physprune_pl.probing.sizes.reshapes import taken_apart
from physprune_pl.probing.sizes.sizes import SizeWatch, axes_of_index, sizes_of_view
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Kind, Tie
from physprune_pl.probing.watching.tainting import nan_along


class AxisNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    mode: str
    ties: list[Tie]
    sequence: list[str]

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which slots of an axis are NaN now."""


class AxisWatch:
    """Watches what becomes of axes in one run.

    Attributes:
        views: slots of an axis that a view factors -> the factors.
    """

    def __init__(self, notes: AxisNotes, sizes: SizeWatch) -> None:
        self.notes, self.sizes = notes, sizes
        self.views: dict[Family, tuple[int, ...]] = {}

    def halves(self, call: Invocation[MultipliedHalves], output: Any) -> None:  # noqa: ARG002
        """Note the halves of a gated linear unit: they are multiplied."""
        if call.data.is_floating_point():
            axis = call.get(call.row.axis)
            self._tie_parts(call.data, axis, [call.data.shape[axis] // 2] * 2)

    def parts(self, call: Invocation[Parts], output: tuple[Tensor, ...]) -> None:
        """Note the parts of an axis, and which modules remember their sizes."""
        row, data, axis = call.row, call.data, call.get(call.row.axis)
        if not data.is_floating_point():
            return
        lengths = [part.shape[axis] for part in output]
        equal = len(set(lengths)) == 1
        counted = row.count is not None and call.get(row.count) == len(lengths)
        family = self._tie_parts(data, axis, lengths) if len(lengths) > 1 and (equal or counted) else None
        if row.sizes is not None:
            sizes = call.get(row.sizes)
            self.sizes.split(sizes if isinstance(sizes, list | tuple) else (sizes,), data, axis % data.dim(), family)
        elif row.count is not None and family is not None and equal:
            self.sizes.groups(call.get(row.count), family, data.shape[axis])

    def view(self, call: Invocation[View], output: Tensor) -> None:
        """Note the factors of an axis, and which modules remember them."""
        data, sizes = call.data, sizes_of_view(call.args, call.kwargs)
        named = call.row.axis
        if named is not None:
            axis = call.get(named) % data.dim()
            sizes = (*data.shape[:axis], *sizes_of_view(call.args[1:], call.kwargs), *data.shape[axis + 1 :])
        self.sizes.view(sizes, data, output, self._view(data, output))

    def expansion(self, call: Invocation[Expansion], output: Tensor) -> None:
        """Note which modules remember how often a tensor is repeated."""
        self.sizes.view(sizes_of_view(call.args, call.kwargs), call.data, output, {})

    def indexing(self, call: Invocation[Indexing], output: Any) -> None:  # noqa: ARG002
        """Note which modules remember the ends of slices; entries between two that a slice takes stay beside them."""
        data, index = call.args
        entries = index if isinstance(index, tuple) else (index,)
        for axis, entry in axes_of_index(entries, data.dim()):
            step = entry.step if isinstance(entry, slice) else None
            if isinstance(step, int) and step > 1 and axis and data.shape[axis] % step == 0:
                self._tie_steps(data, axis, step)
        self.sizes.index(data, entries)

    def _tie_steps(self, data: Tensor, axis: int, step: int) -> None:
        """Tie the slots of every step along an axis: what goes by itself would move those behind it."""
        if data.is_floating_point():
            family, place = self._see_part(data, axis), torch.arange(data.shape[axis])
            self.notes.ties.append((family, place, family, place // step * step))

    def narrowing(self, call: Invocation[Narrowing], output: Tensor) -> None:  # noqa: ARG002
        """Note which modules remember where a part begins, and how long it is."""
        axis, start, length = map(call.get, (call.row.axis, call.row.start, call.row.length))
        self.sizes.narrow(call.data, axis % call.data.dim(), start, length)

    def _view(self, data: Tensor, output: Tensor) -> dict[int, Family]:
        """Note an axis that a view factors; what its parts are shows when it is known where they go."""
        apart = taken_apart(data.shape, output.shape) if data.is_floating_point() else None
        if apart is None:
            return {}
        axis, factors = apart
        family = self._see_part(data, axis)
        self.views[family] = factors
        return {axis: family}

    def _tie_parts(self, data: Tensor, axis: int, lengths: Sequence[int]) -> Family:
        """Tie the slots at one place of all parts; those beyond the end of the shortest belong to its last.

        So a fixed number of parts falls into the same places again, whatever goes, and none of them is emptied.
        """
        family = self._see_part(data, axis)
        place = torch.cat([torch.arange(length) for length in lengths]).clamp(max=min(lengths) - 1)
        self.notes.ties.append((family, torch.arange(len(place)), family, place))
        return family

    def _see_part(self, data: Tensor, axis: int) -> Family:
        family = (f"{self.notes.mode} part {len(self.notes.sequence)}", 0)
        self.notes.see("part", family, nan_along(data, axis))
        return family
