"""What a force law and a distance see: the channels of one group, or of several of one size.

Shape legend used in all docstrings: G groups, K channels of one group, N channels of all groups together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Channels:
    """What a force law sees of one group; every tensor is detached.

    Attributes:
        strength: norm of each channel over its slices, shape [K] (papers: mass, charge).
        distance: distance of each channel from the pivot, shape [K].
        pivot: index of the channel that the others are measured from.
        sign: charge sign of each channel, +1 or -1, shape [K].
    """

    strength: Tensor
    distance: Tensor
    pivot: int
    sign: Tensor


@dataclass(frozen=True)
class StackedChannels(Channels):
    """What a force law sees of g groups of one size at once: tensors [K, g] instead of [K].

    Attributes:
        pivot: pivot of each group, shape [1, g].
    """

    pivot: Tensor  # type: ignore[assignment]


def at_pivot(values: Tensor, pivot: int | Tensor) -> Tensor:
    """Return the value of the pivot: of one group [K], a scalar; of stacked groups [K, g], [1, g].

    >>> import torch
    >>> at_pivot(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1, 0]]))
    tensor([[3., 2.]])
    """
    return values[pivot] if isinstance(pivot, int) else values.gather(0, pivot)


def upright(vector: Tensor, like: Tensor) -> Tensor:
    """Return a vector [K] shaped to broadcast over the groups of ``like``, which is [K] or [K, g]."""
    return vector.view(-1, *[1] * (like.ndim - 1))


class Reader:
    """A force law or a distance, which may say what it reads.

    Attributes:
        reads: those of ``"strength"``, ``"distance"`` and ``"sign"`` that the result depends on. Who names them also
            takes :class:`StackedChannels` and [K, g] for [K]: it is called for all groups of one size at once, and
            only when what it reads has changed. None, the default: one group at a time, at every step. A subclass
            with a ``__call__`` of its own says it anew.
    """

    reads: ClassVar[frozenset[str] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__call__" in vars(cls) and "reads" not in vars(cls):
            cls.reads = None
