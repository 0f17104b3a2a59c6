"""Times of one layer at several widths, and what they say of the widths between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physprune_pl.targets.costs import Floats


@dataclass(frozen=True)
class Grid:
    """Milliseconds of a layer by its numbers of rows and columns.

    Attributes:
        rows: numbers of rows that were timed, ascending.
        columns: numbers of columns, ascending.
        milliseconds: one tuple per number of rows, one time per number of columns.

    Raises:
        ValueError: sizes do not fit, do not ascend, or a time is no positive number.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    milliseconds: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        table = np.array(self.milliseconds, dtype=float)
        if table.shape != (len(self.rows), len(self.columns)) or not table.size:
            raise ValueError(
                f"milliseconds: expected {len(self.rows)} rows of {len(self.columns)} times, got {self.milliseconds!r}"
            )
        if not (np.isfinite(table) & (table > 0)).all():
            raise ValueError(f"milliseconds: expected positive numbers, got {self.milliseconds!r}")
        for name, sizes in (("rows", self.rows), ("columns", self.columns)):
            if sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
                raise ValueError(f"{name}: expected ascending whole numbers of at least 1, got {sizes!r}")

    @classmethod
    def measured(cls, rows: tuple[int, ...], columns: tuple[int, ...], time: Callable[[int, int], float]) -> Grid:
        """Ask for the time at every pair of numbers."""
        return cls(rows, columns, tuple(tuple(time(row, column) for column in columns) for row in rows))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, fit for JSON."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "milliseconds": [list(times) for times in self.milliseconds],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Grid:
        """Read what :meth:`to_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            times = tuple(tuple(map(float, row)) for row in data["milliseconds"])
            return cls(tuple(map(int, data["rows"])), tuple(map(int, data["columns"])), times)
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected rows, columns and milliseconds of a layer, got {data!r}") from error

    @property
    def table(self) -> Floats:
        """The times without what contradicts that fewer rows or columns take no longer, [rows, columns].

        A time between that of the next smaller and the next larger size stays as it is. Where timings contradict each
        other, it is the mean of the largest time of any smaller size and the smallest of any larger one.
        """
        times = np.array(self.milliseconds, dtype=float)
        for axis in (0, 1):
            rising = np.maximum.accumulate(times, axis)
            falling = np.flip(np.minimum.accumulate(np.flip(times, axis), axis), axis)
            times = (rising + falling) / 2.0
        return times


class Grids:
    """Times of L layers between the sizes that were timed, all layers at once: linear in rows and in columns."""

    def __init__(self, grids: list[Grid]) -> None:
        height = max((len(grid.rows) for grid in grids), default=1)
        width = max((len(grid.columns) for grid in grids), default=1)
        self._rows = _nodes([grid.rows for grid in grids], max(height, 2))
        self._columns = _nodes([grid.columns for grid in grids], max(width, 2))
        shape = (len(grids), max(height, 2), max(width, 2))
        self._times = np.zeros(shape)
        for place, grid in enumerate(grids):
            table = grid.table
            self._times[place] = np.pad(table, [(0, shape[1] - table.shape[0]), (0, shape[2] - table.shape[1])], "edge")

    def __call__(self, rows: Floats, columns: Floats) -> Floats:
        """Return milliseconds [..., L] for numbers of rows and of columns [..., L]."""
        row, down = _between(self._rows, rows)
        column, right = _between(self._columns, columns)
        layer = np.arange(len(self._times))
        corners = [[self._times[layer, row + i, column + j] for j in (0, 1)] for i in (0, 1)]
        upper, lower = ((1.0 - right) * left + right * rest for left, rest in corners)
        found: Floats = (1.0 - down) * upper + down * lower
        return found


def _nodes(sizes: list[tuple[int, ...]], count: int) -> Floats:
    """Stack sizes [L, count]; short ones go on beyond their end, where nothing is ever asked for."""
    padded = [[*size, *range(size[-1] + 1, size[-1] + 1 + count - len(size))] for size in sizes]
    return np.array(padded, dtype=float).reshape(len(sizes), count)


def _between(nodes: Floats, sizes: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the place of the node below each size, and how far it is to the next, in [0, 1]."""
    layer = np.arange(len(nodes))
    below = (sizes[..., None] >= nodes).sum(axis=-1).clip(1, nodes.shape[1] - 1) - 1
    low, high = nodes[layer, below], nodes[layer, below + 1]
    return below, ((sizes - low) / (high - low)).clip(0.0, 1.0)
