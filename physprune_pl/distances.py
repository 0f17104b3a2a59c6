"""How far a channel is from the pivot of its group: by index, by rank of strength, or by strength gap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from physprune_pl.channels import Reader, at_pivot, upright
from physprune_pl.tools.choices import unknown
from physprune_pl.tools.registry import named_or_given

Pivot = int | Literal["first", "middle", "strongest"]


@dataclass(frozen=True)
class Distance(Reader, ABC):
    """Distance of every channel from the pivot, at least 0, at most K - 1, and 0 at the pivot itself."""

    @abstractmethod
    def __call__(self, strength: Tensor, pivot: int) -> Tensor:
        """Measure one group.

        Args:
            strength: strengths of its channels, shape [K], floating point; [K, g] where the distance says what it
                reads (see :class:`~physprune_pl.channels.Reader`).
            pivot: index of the channel to measure from, 0 .. K-1 (see :func:`resolve_pivot`); [1, g] for [K, g].

        Returns:
            Distances, shape [K], type and device of ``strength``.
        """


class IndexDistance(Distance):
    """Difference of indices, ``d_k = |k - p|``: the channel order becomes something the network has to learn.

    Source: arXiv:2506.22015 and arXiv:2411.16901.

    >>> IndexDistance()(torch.rand(4), 1)
    tensor([1., 0., 1., 2.])
    """

    reads = frozenset()

    def __call__(self, strength: Tensor, pivot: int | Tensor) -> Tensor:
        """Return ``|k - p|``."""
        index = torch.arange(len(strength), dtype=strength.dtype, device=strength.device)
        return (upright(index, strength) - pivot).abs().expand_as(strength)


class RankDistance(Distance):
    """Difference of ranks, ``d_k = |rank_k - rank_p|``, rank 0 for the strongest channel; equal ones rank by index.

    Not from the papers: an index says where a channel sits, a rank says what it is worth.

    >>> RankDistance()(torch.tensor([1.0, 4.0, 3.0, 2.0]), 1)
    tensor([3., 0., 1., 2.])
    """

    reads = frozenset({"strength"})

    def __call__(self, strength: Tensor, pivot: int | Tensor) -> Tensor:
        """Return ``|rank_k - rank_p|``."""
        order = strength.argsort(dim=0, descending=True, stable=True)
        rank = order.argsort(dim=0).to(strength.dtype)
        return (rank - at_pivot(rank, pivot)).abs()


class StrengthGap(Distance):
    """Difference of strengths, ``d_k = (K - 1) |s_k - s_p| / max_j |s_j - s_p|``, and 0 where all are equal.

    The scale makes the largest distance K - 1, as it is by index from an end. Source: a third-party summary of
    arXiv:2411.11079 (gap of charges); the scale is ours.

    >>> StrengthGap()(torch.tensor([1.0, 2.0, 5.0]), 0)
    tensor([0.0000, 0.5000, 2.0000])
    """

    reads = frozenset({"strength"})

    def __call__(self, strength: Tensor, pivot: int | Tensor) -> Tensor:
        """Return the scaled ``|s_k - s_p|``."""
        gap = (strength - at_pivot(strength, pivot)).abs()
        largest = gap.amax(0)
        return torch.where(largest > 0, gap / largest * (len(gap) - 1), 0.0)


DISTANCES: dict[str, type[Distance]] = {"index": IndexDistance, "rank": RankDistance, "strength_gap": StrengthGap}


def resolve_distance(value: str | Distance) -> Distance:
    """Return the distance of that name, or the object itself.

    Raises:
        ValueError: for a name that is not in ``DISTANCES``.
        TypeError: for anything that is neither a name nor a :class:`Distance`.

    >>> resolve_distance("rank")
    RankDistance()
    """
    return named_or_given("distance", value, Distance, DISTANCES)  # type: ignore[type-abstract]


def resolve_pivot(pivot: Pivot, strength: Tensor) -> int:
    """Return the index of the pivot in a group of the given strengths, shape [K].

    ``"first"`` is 0, ``"middle"`` is K // 2, ``"strongest"`` the largest strength (read back from its device).

    Raises:
        ValueError: for an index outside 0 .. K-1 or another name.
        TypeError: for anything that is neither an integer nor a name.

    >>> resolve_pivot("strongest", torch.tensor([1.0, 3.0, 2.0]))
    1
    """
    size = len(strength)
    if isinstance(pivot, str):
        return _named_pivot(pivot, strength)
    if not isinstance(pivot, int) or isinstance(pivot, bool):
        raise TypeError(f"pivot: expected an integer or a name, got {pivot!r}")
    if not 0 <= pivot < size:
        raise ValueError(f"pivot: expected an index from 0 to {size - 1} in a group of {size} channels, got {pivot}")
    return pivot


def _named_pivot(name: str, strength: Tensor) -> int:
    match name:
        case "first":
            return 0
        case "middle":
            return len(strength) // 2
        case "strongest":
            return int(strength.argmax())
    raise ValueError(unknown("pivot", name, ("first", "middle", "strongest"), "an index or one of"))
