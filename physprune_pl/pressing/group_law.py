"""A force law with its distance and pivot, applied group by group to the vectors of a penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from physprune_pl.channels import Channels
from physprune_pl.distances import Distance, IndexDistance, Pivot, resolve_distance, resolve_pivot
from physprune_pl.forces import Force, Uniform, coefficients, resolve_force
from physprune_pl.structure import ChannelGroup


@dataclass(frozen=True)
class GroupLaw:
    """Coefficients c_k of all N channels, from a law that sees one group of K channels at a time.

    Attributes:
        force: the law.
        distance: how far a channel is from the pivot.
        pivot: channel to measure from: an index, or ``"first"``, ``"middle"``, ``"strongest"``.
    """

    force: Force = field(default_factory=Uniform)
    distance: Distance = field(default_factory=IndexDistance)
    pivot: Pivot = 0

    @classmethod
    def resolve(cls, force: str | Force, distance: str | Distance | None = None, pivot: Pivot = 0) -> GroupLaw:
        """Build one from names; ``distance=None`` means the distance that the law is meant for.

        Raises:
            ValueError: for an unknown name or a negative pivot.
            TypeError: for anything that is neither a name nor an object of the right kind.
        """
        law = resolve_force(force)
        measure = resolve_distance(getattr(law, "default_distance", "index") if distance is None else distance)
        if not isinstance(pivot, int) or isinstance(pivot, bool) or pivot < 0:
            # A group of one: any name passes, anything else is told what was expected.
            resolve_pivot(pivot, torch.ones(1))
        return cls(law, measure, pivot)

    @property
    def _reads(self) -> frozenset[str] | None:
        """What the law says that it reads; a plain function says nothing."""
        return getattr(self.force, "reads", None)

    @property
    def stacks(self) -> bool:
        """Whether law and distance take several groups of one size at once."""
        return self._reads is not None and self.distance.reads is not None

    @property
    def reads_signs(self) -> bool:
        """Whether the law may depend on the charge signs."""
        return self._reads is None or "sign" in self._reads

    @property
    def constant(self) -> bool:
        """Whether the coefficients depend on nothing but the number of channels."""
        reads = self._reads
        if reads is None or reads & {"strength", "sign"}:
            return False
        return "distance" not in reads or (self.distance.reads == frozenset() and self.pivot != "strongest")

    def check(self, groups: Sequence[ChannelGroup]) -> None:
        """Raise a ValueError that names the first group too small for the pivot."""
        for group in groups:
            if isinstance(self.pivot, int) and self.pivot >= group.size:
                raise ValueError(
                    f"pivot: expected an index from 0 to {group.size - 1} in group {group.name!r}, got {self.pivot}"
                )

    def channels(self, strengths: Tensor, signs: Tensor, segments: Sequence[slice]) -> list[Channels]:
        """Split [N] strengths and signs into what the law sees of each group."""
        # One read-back for all groups, and only when the pivot depends on the strengths.
        seen = strengths.cpu() if self.pivot == "strongest" else strengths
        found = []
        for part in segments:
            pivot, strength = resolve_pivot(self.pivot, seen[part]), strengths[part]
            distance = self.distance(strength, pivot)
            found.append(Channels(strength=strength, distance=distance, pivot=pivot, sign=signs[part]))
        return found

    def coefficients(self, channels: Sequence[Channels], groups: Sequence[ChannelGroup], *, check: bool) -> Tensor:
        """Return c of all channels, shape [N]; ``check`` reads back whether all are finite.

        Raises:
            ValueError: naming law and group, for a wrong shape, or for a value that is not finite (with ``check``).
        """
        parts = (
            coefficients(self.force, one, group.name, check=check) for one, group in zip(channels, groups, strict=True)
        )
        return torch.cat(list(parts))
