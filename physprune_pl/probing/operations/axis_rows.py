"""What a row of the table of operations may say of one that moves channels along axes, or reads how many there are."""

from __future__ import annotations

from dataclasses import dataclass

from physprune_pl.probing.operations.operation_rows import Argument, Operation


@dataclass(frozen=True)
class Parts(Operation):
    """Takes an axis apart.

    Attributes:
        axis: the argument that names the axis.
        sizes: that with the sizes of the parts, one of them where all are equal.
        count: that with their number.
    """

    axis: Argument = Argument(2, ("dim",), 0)
    sizes: Argument | None = None
    count: Argument | None = None


@dataclass(frozen=True)
class MultipliedHalves(Operation):
    """Gated linear unit: takes an axis apart in two halves and multiplies them."""

    axis: Argument = Argument(1, ("dim",), -1)


@dataclass(frozen=True)
class View(Operation):
    """Gives a tensor other axes, or one of its axes, if its row has an argument that names it."""

    axis: Argument | None = None


@dataclass(frozen=True)
class ReadsShape(Operation):
    """Tells the sizes of axes, or of one."""

    axis: Argument = Argument(1, ("dim",))


@dataclass(frozen=True)
class Expansion(Operation):
    """Repeats a tensor along axes."""


@dataclass(frozen=True)
class Indexing(Operation):
    """Takes entries by slices and numbers."""


@dataclass(frozen=True)
class Narrowing(Operation):
    """Takes a part of an axis."""

    axis: Argument = Argument(1, ("dim",))
    start: Argument = Argument(2, ("start",))
    length: Argument = Argument(3, ("length",))
