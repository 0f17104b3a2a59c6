"""The coefficients of a force law over all groups, with no more work at a step than the law asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from physprune_pl.channels import StackedChannels
from physprune_pl.distances import resolve_pivot
from physprune_pl.forces import coefficients
from physprune_pl.pressing.group_law import GroupLaw
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.structure import ChannelGroup


@dataclass(frozen=True)
class _Stack:
    """Groups of one size side by side: where their channels are in the [N] vectors [K, g], and their pivots [1, g]."""

    places: Tensor
    pivots: Tensor | None

    def pivot(self, strength: Tensor) -> Tensor:
        """Return the pivots; without any given, the strongest channels."""
        return strength.argmax(0, keepdim=True) if self.pivots is None else self.pivots


class GroupCoefficients:
    """Applies a law to the groups of a penalty: stacked by size if law and distance can, and once if nothing changes.

    A law that does not say what it reads is called group by group at every step. A pivot ``"strongest"`` is read back
    from the device for such a law only.

    Args:
        law: the law with its distance and pivot.
        groups: the groups of the penalty.
        penalty: gives segments, and signs where the law reads them.
    """

    def __init__(self, law: GroupLaw, groups: Sequence[ChannelGroup], penalty: Penalty) -> None:
        self.law, self.groups, self.penalty = law, groups, penalty
        self._made_for: tuple[torch.dtype, torch.device] | None = None
        self._stacks: list[_Stack] = []
        self._order = torch.empty(0, dtype=torch.long)
        self._unsigned = torch.empty(0)
        self._kept: Tensor | None = None

    def __call__(self, strengths: Tensor, *, check: bool) -> Tensor:
        """Return c of all channels, shape [N]; ``check`` reads back whether all are finite.

        Raises:
            ValueError: naming law and group, for a wrong shape, or for a value that is not finite (with ``check``).
        """
        if self._made_for != (strengths.dtype, strengths.device):
            self._prepare(strengths)
        if self._kept is not None:
            return self._kept
        found = self._stacked(strengths) if self.law.stacks and not check else self._one_by_one(strengths, check)
        if self.law.constant:
            self._kept = found
        return found

    def _prepare(self, strengths: Tensor) -> None:
        self._made_for = strengths.dtype, strengths.device
        self._kept, self._unsigned = None, torch.ones_like(strengths)
        by_size: dict[int, list[int]] = {}
        for group, segment in zip(self.groups, self.penalty.segments, strict=True):
            by_size.setdefault(group.size, []).append(segment.start)
        self._stacks = [self._stack(size, starts, strengths.device) for size, starts in by_size.items()]
        self._order = torch.cat([stack.places.flatten() for stack in self._stacks]).argsort()

    def _stack(self, size: int, starts: Sequence[int], device: torch.device) -> _Stack:
        places = torch.arange(size)[:, None] + torch.tensor(starts)
        pivots = None
        if self.law.pivot != "strongest":
            pivots = torch.full((1, len(starts)), resolve_pivot(self.law.pivot, torch.ones(size))).to(device)
        return _Stack(places.to(device), pivots)

    def _signs(self, strengths: Tensor) -> Tensor:
        return self.penalty.signs().to(strengths.device) if self.law.reads_signs else self._unsigned

    def _one_by_one(self, strengths: Tensor, check: bool) -> Tensor:
        channels = self.law.channels(strengths, self._signs(strengths), self.penalty.segments)
        return self.law.coefficients(channels, self.groups, check=check)

    def _stacked(self, strengths: Tensor) -> Tensor:
        signs = self._signs(strengths)
        parts = [self._of_stack(stack, strengths[stack.places], signs[stack.places]) for stack in self._stacks]
        return torch.cat(parts)[self._order]

    def _of_stack(self, stack: _Stack, strength: Tensor, sign: Tensor) -> Tensor:
        pivot = stack.pivot(strength)
        # A distance that says what it reads takes [1, g] pivots too.
        distance = self.law.distance(strength, pivot)  # type: ignore[arg-type]
        seen = StackedChannels(strength, distance, pivot, sign)
        return coefficients(self.law.force, seen, f"of {len(strength)} channels", check=False).flatten()
