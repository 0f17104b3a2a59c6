"""How long a phase of a fit is, and how much of it is over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from physprune_pl.targets.target import Target


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
        those steps where that is larger. Where nobody knows how many batches an epoch has, it is taken to have as many
        as those before; the first one then counts only once it is over.
        """
        shares = [0.0]
        if self.epochs is not None and self.epochs > 0:
            inside = min(max(trainer.fit_loop.batch_idx, 0) / _batches(trainer), 1.0)
            shares.append((trainer.current_epoch - self.start + inside) / self.epochs)
        if self.steps is not None:
            shares.append(trainer.global_step / self.steps)
        return min(max(shares), 1.0)

    def check_known(self, trainer: Any) -> None:
        """Look, at the start of training, whether progress can be told from one batch to the next.

        Raises:
            ValueError: it never can.
        """
        if self.steps is not None or math.isfinite(_batches(trainer)):
            return
        message = "the training data has no length, and a force must know how far its phase is: expected max_steps, or "
        message += "limit_train_batches, the batches of an epoch"
        if self.epochs == 1:
            raise ValueError(f"max_epochs: {message}; got neither")
        rank_zero_warn(f"{message}; without them the first epoch counts once it is over")


@dataclass(frozen=True)
class Wave:
    """Part of a phase after which channels are removed.

    Attributes:
        length: of the part.
        target: what is left then.
    """

    length: PhaseLength
    target: Target | None

    def over(self, trainer: Any) -> bool:
        """Whether its epochs are over, at the start of another."""
        return bool(trainer.current_epoch >= self.length.start + (self.length.epochs or 0))


def _batches(trainer: Any) -> float:
    """Number of batches of an epoch: as the data say, else the mean of the epochs so far; infinite in the first."""
    batches = float(trainer.num_training_batches)
    if math.isfinite(batches) or not trainer.current_epoch:
        return batches
    seen = trainer.fit_loop.epoch_loop.batch_progress
    return (seen.total.ready - seen.current.ready) / trainer.current_epoch or batches
