"""Part of what a target takes: the channels that go first, on the way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.costs import Floats


@dataclass
class OnTheWay(Chooser):
    """Chooses, of the channels that a target takes, those that go first, until a milder target is met.

    What goes now then never puts the target out of reach, as it could where few channels are left: one that the target
    would have kept goes only once all that it takes are gone.

    Attributes:
        end: chooses for the target itself.
    """

    end: Chooser = field(kw_only=True)

    def _ranked(self, strengths: Sequence[Tensor], scores: Sequence[Tensor] | None) -> list[Floats]:
        """Rank what the target spares behind all that it takes; a TargetError where it cannot be met."""
        taken = self.end.choose(strengths, scores)
        ranks = super()._ranked(strengths, scores)
        every = np.concatenate(ranks)
        behind = 1.0 + every.max() - every.min()
        return [np.where(mask.cpu().numpy(), rank, rank + behind) for mask, rank in zip(taken, ranks, strict=True)]

    def _turns(self) -> list[list[int]]:
        """Return all ladders at once: what the target spares comes last anyway."""
        return [sorted(set(self._ladder.tolist()))]
