"""How long a fit is: the trainer's own limits for the first phase, and the epochs that fine-tuning adds."""

from __future__ import annotations

from typing import Any


class Limits:
    """Moves the limits of the fit loop, and puts them back.

    Attributes:
        epochs: epochs of the sparsify phase, ``max_epochs`` of the trainer.
        added: epochs of fine-tuning; at most one in a ``fast_dev_run``.
    """

    def __init__(self, trainer: Any, finetune_epochs: int) -> None:
        loop = trainer.fit_loop
        self.epochs, self._min_epochs = int(loop.max_epochs or 0), loop.min_epochs
        self.added = min(finetune_epochs, 1) if trainer.fast_dev_run else finetune_epochs
        if trainer.fast_dev_run:
            # Its limit of steps would end the fit before the cut; the batches of an epoch are limited anyway.
            loop.epoch_loop.max_steps = -1
        if not self.epochs:
            self.extend(trainer, 0)

    def extend(self, trainer: Any, end: int) -> None:
        """Let the fit go on after the sparsify phase, which is over after `end` epochs."""
        trainer.fit_loop.max_epochs = end + self.added

    def hold_on(self, trainer: Any, processed: int) -> None:
        """Keep the loop from stopping early for one more epoch: its start is where the cut happens."""
        if self.added:
            trainer.fit_loop.min_epochs = processed + 1

    def let_go(self, trainer: Any) -> None:
        """Forget what stopped the sparsify phase; from now on early stopping is the trainer's own affair again."""
        trainer.should_stop = False
        trainer.fit_loop.min_epochs = self._min_epochs

    def over(self, trainer: Any) -> bool:
        """Whether the sparsify phase is over at the start of an epoch: by its length, or stopped early."""
        enough = trainer.current_epoch >= (self._min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)
        return trainer.current_epoch >= self.epochs or bool(trainer.should_stop and enough)

    def restore(self, trainer: Any) -> None:
        """Give the trainer the limits that it was built with."""
        trainer.fit_loop.max_epochs, trainer.fit_loop.min_epochs = self.epochs, self._min_epochs
