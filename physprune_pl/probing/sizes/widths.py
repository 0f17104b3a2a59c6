"""Sizes that code reads from the shape of one tensor and asks of another: both axes can only shrink in step.

``B, N, C = x.shape`` and, further on, ``y.reshape(B, N, C)`` hold y as wide as x, whatever is cut. While a model is
watched, the sizes that it reads know which axis they are of.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from physprune_pl.probing.watching.observations import Family


class Width(int):
    """The size of an axis of some tensor, or a multiple or a part of it; what else is computed from it does not know.

    >>> tensor = torch.zeros(2, 12)
    >>> width = Width.of(12, ("eval shape 3", 1), ref(tensor))
    >>> (3 * width // 4).axis, type(width + 1).__name__, type(width // 5).__name__
    (('eval shape 3', 1), 'int', 'int')
    """

    axis: Family
    tensor: ref[Tensor]

    @classmethod
    def of(cls, value: int, axis: Family, tensor: ref[Tensor]) -> Width:
        """Mark a number."""
        result = cls(value)
        result.axis, result.tensor = axis, tensor
        return result

    def is_of(self, tensor: Tensor, axis: int) -> bool:
        """Return whether it is the size of this very axis."""
        return self.axis[1] == axis and self.tensor() is tensor

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Width):  # an area
            return int(self) * int(other)
        return Width.of(int(self) * other, self.axis, self.tensor) if isinstance(other, int) else int(self) * other

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        known = isinstance(other, int) and not isinstance(other, Width) and other and int(self) % other == 0
        return Width.of(int(self) // other, self.axis, self.tensor) if known else int(self) // other

    def __neg__(self) -> Width:
        return Width.of(-int(self), self.axis, self.tensor)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        """Let copies be plain numbers."""
        return int, (int(self),)


@dataclass(frozen=True)
class WidthUse:
    """One place where the size of one axis is asked of another, or a fixed multiple of it.

    Attributes:
        axis: whose size it is.
        family: of which the size is asked.
        slots: those of them whose number is to be that.
    """

    axis: Family
    family: Family
    slots: Tensor


@dataclass(frozen=True)
class Asked:
    """Which axes a run has to look at, because their sizes are asked of others.

    Attributes:
        axes: whose sizes are asked of others.
        idle: of those and of the others, which hold no channels.
    """

    axes: Collection[Family] = ()
    idle: Collection[Family] = ()


def sized(data: Tensor, name: str, first: int) -> Any:
    """Return the shape of a tensor as sizes that know their axes, from the first that counts; 1 is no width."""
    own = ref(data)
    return torch.Size(
        [
            Width.of(size, (name, axis), own) if axis >= first and size > 1 else size
            for axis, size in enumerate(data.shape)
        ]
    )
