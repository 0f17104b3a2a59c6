"""How long a phase of a fit is, and how much of it is over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PhaseLength:
    """The length of a phase, in epochs or in optimizer steps, whichever ends first.

    Attributes:
        start: number of epochs that were over when the phase began.
        epochs: most epochs of it; None or -1 where only steps are counted, or nothing is known.
        steps: most optimizer steps of it; None where only epochs are counted.
    """

    start: int = 0
    epochs: float | None = None
    steps: int | None = None

    @classmethod
    def of_trainer(cls, trainer: Any) -> PhaseLength:
        """Read the limits of a trainer: they are those of the sparsify phase."""
        return cls(0, trainer.max_epochs, trainer.max_steps if trainer.max_steps > 0 else None)

    @property
    def has_an_end(self) -> bool:
        """Whether it is known when the phase ends."""
        return self.steps is not None or 0 < (self.epochs or 0) < math.inf

    def progress(self, trainer: Any) -> float:
        """Return the share in [0, 1] of the phase that is over, in training batches.

        It is read from the trainer's own counters, which a checkpoint restores. With ``max_steps`` it is the share of
        those steps where that is larger; without a known number of batches it moves from epoch to epoch.
        """
        shares = [0.0]
        if self.epochs is not None and self.epochs > 0:
            inside = max(trainer.fit_loop.batch_idx, 0) / trainer.num_training_batches
            shares.append((trainer.current_epoch - self.start + inside) / self.epochs)
        if self.steps is not None:
            shares.append(trainer.global_step / self.steps)
        return min(max(shares), 1.0)
