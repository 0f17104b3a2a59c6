"""What views, splits and the like make of the axes of activations: parts that stay equal, factors, remembered sizes."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.invocation import Invocation
from physprune_pl.probing.observations import Family, Kind, Tie
from physprune_pl.probing.operation_rows import Expansion, Indexing, MultipliedHalves, Narrowing, Parts, View
from physprune_pl.probing.sizes import SizeWatch, sizes_of_view
from physprune_pl.probing.tainting import nan_along


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
            self._tie_parts(call.data, call.get(call.row.axis), 2)

    def parts(self, call: Invocation[Parts], output: tuple[Tensor, ...]) -> None:
        """Note the parts of an axis, and which modules remember their sizes."""
        row, data, axis = call.row, call.data, call.get(call.row.axis)
        if not data.is_floating_point():
            return
        equal = len({part.shape[axis] for part in output}) == 1 and len(output) > 1
        family = self._tie_parts(data, axis, len(output)) if equal else None
        if row.sizes is not None:
            sizes = call.get(row.sizes)
            self.sizes.split(sizes if isinstance(sizes, list | tuple) else (sizes,), data, axis % data.dim(), family)
        elif row.count is not None and family is not None:
            self.sizes.groups(call.get(row.count), family, data.shape[axis])

    def view(self, call: Invocation[View], output: Tensor) -> None:
        """Note the factors of an axis, and which modules remember them."""
        self.sizes.view(sizes_of_view(call.args, call.kwargs), call.data, output, self._view(call.data, output))

    def expansion(self, call: Invocation[Expansion], output: Tensor) -> None:
        """Note which modules remember how often a tensor is repeated."""
        self.sizes.view(sizes_of_view(call.args, call.kwargs), call.data, output, {})

    def indexing(self, call: Invocation[Indexing], output: Any) -> None:  # noqa: ARG002
        """Note which modules remember the ends of slices."""
        self.sizes.index(*call.args)

    def narrowing(self, call: Invocation[Narrowing], output: Tensor) -> None:  # noqa: ARG002
        """Note which modules remember where a part begins, and how long it is."""
        axis, start, length = map(call.get, (call.row.axis, call.row.start, call.row.length))
        self.sizes.narrow(call.data, axis % call.data.dim(), start, length)

    def _view(self, data: Tensor, output: Tensor) -> dict[int, Family]:
        """Note an axis that a view factors; what its parts are shows when it is known where they go."""
        added = output.dim() - data.dim()
        if not data.is_floating_point() or added < 1:
            return {}
        for axis in range(1, data.dim()):
            factors = tuple(output.shape[axis : axis + added + 1])
            rest = data.shape[:axis] + data.shape[axis + 1 :]
            around = output.shape[:axis] + output.shape[axis + added + 1 :]
            if rest == around and 1 < factors[0] < data.shape[axis]:
                family = self._see_part(data, axis)
                self.views[family] = factors
                return {axis: family}
        return {}

    def _tie_parts(self, data: Tensor, axis: int, parts: int) -> Family:
        family = self._see_part(data, axis)
        index = torch.arange(data.shape[axis])
        self.notes.ties.append((family, index, family, index % (data.shape[axis] // parts)))
        return family

    def _see_part(self, data: Tensor, axis: int) -> Family:
        family = (f"{self.notes.mode} part {len(self.notes.sequence)}", 0)
        self.notes.see("part", family, nan_along(data, axis))
        return family
