"""What views, splits and the like make of the axes of activations: parts that stay equal, factors, remembered sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.observations import Family, Tie
from physprune_pl.probing.operations import EXPANSIONS, NARROWS, PARTS, VIEWS
from physprune_pl.probing.sizes import SizeWatch, sizes_of_split, sizes_of_view
from physprune_pl.probing.tainting import nan_along


class AxisNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    mode: str
    ties: list[Tie]
    sequence: list[str]

    def see_part(self, family: Family, pattern: Tensor) -> None:
        """Record which slots of an axis are NaN now that is about to be cut into parts."""


class AxisWatch:
    """Watches what becomes of axes in one run.

    Attributes:
        views: slots of an axis that a view factors -> the factors.
    """

    def __init__(self, notes: AxisNotes, sizes: SizeWatch) -> None:
        self.notes, self.sizes = notes, sizes
        self.views: dict[Family, tuple[int, ...]] = {}

    def note(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Note what an operation makes of the axes of its data: parts, factors, sizes that modules remember."""
        if func in PARTS:
            self._split(args, kwargs, output)
        elif func in VIEWS:
            data = args[0] if args else kwargs["input"]
            self.sizes.view(sizes_of_view(args, kwargs), data, output, self._view(data, output))
        elif func in EXPANSIONS:
            self.sizes.view(sizes_of_view(args, kwargs), args[0], output, {})
        elif func is Tensor.__getitem__:
            self.sizes.index(*args)
        elif func in NARROWS and len(args) == 4:
            data, axis, start, length = args
            self.sizes.narrow(data, axis % data.dim(), start, length)

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor | tuple[Tensor, ...]) -> None:
        data: Tensor = args[0] if args else kwargs["tensor" if "tensor" in kwargs else "input"]
        if not data.is_floating_point():
            return
        if isinstance(output, Tensor):  # a gated linear unit: its halves are multiplied
            self._tie_parts(data, kwargs.get("dim", args[1] if len(args) > 1 else -1), 2)
            return
        axis = kwargs.get("dim", args[2] if len(args) > 2 else 0)
        equal = len({part.shape[axis] for part in output}) == 1 and len(output) > 1
        family = self._tie_parts(data, axis, len(output)) if equal else None
        self.sizes.split(sizes_of_split(args, kwargs), data, axis % data.dim(), family)

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
        self.notes.see_part(family, nan_along(data, axis))
        return family
