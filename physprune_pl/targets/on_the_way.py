"""Part of what a target takes: the channels that go first, on the way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from physprune_pl.targets.chooser import Chooser


@dataclass
class OnTheWay(Chooser):
    """Chooses, of the channels that a target takes, those that go first, until a milder target is met.

    What goes now then never puts the target out of reach, as it could where few channels are left: one that the target
    would have kept goes only once all that it takes are gone.

    Attributes:
        end: chooses for the target itself.
    """

    end: Chooser = field(kw_only=True)

    def choose(self, strengths: Sequence[Tensor], scores: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Choose what goes, see :meth:`Chooser.choose <physprune_pl.targets.chooser.Chooser.choose>`.

        Raises:
            TargetError: if the target itself cannot be met.
        """
        taken = self.end.choose(strengths, scores)
        ranks = [_relative(one) for one in strengths] if scores is None else scores
        every = torch.cat([rank.flatten() for rank in ranks])
        behind = 1.0 + float(every.max() - every.min())
        return super().choose(
            strengths, [torch.where(mask, rank, rank + behind) for mask, rank in zip(taken, ranks, strict=True)]
        )

    def _turns(self) -> list[list[int]]:
        """Return all ladders at once: what the target spares comes last anyway."""
        return [sorted(set(self._ladder.tolist()))]


def _relative(strength: Tensor) -> Tensor:
    mean = strength.mean()
    return strength / mean if mean > 0 else strength
