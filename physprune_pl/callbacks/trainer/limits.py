"""How long a fit is: the trainer's own limits for the first phase, and the epochs that fine-tuning adds."""

from __future__ import annotations

import math
from typing import Any

from physprune_pl.callbacks.trainer.lightning_classes import is_a


class Limits:
    """Moves the limits of the fit loop, and puts them back.

    Attributes:
        epochs: most epochs of the sparsify phase, ``max_epochs`` of the trainer; infinite where only steps are counted.
        steps: most optimizer steps of it, ``max_steps``; None where only epochs are counted.
        added: epochs of fine-tuning; at most one in a ``fast_dev_run``.
    """

    def __init__(self, trainer: Any, finetune_epochs: int) -> None:
        loop = trainer.fit_loop
        self._given = loop.max_epochs, loop.min_epochs, loop.epoch_loop.max_steps
        # In a fast_dev_run the batches of an epoch are limited anyway.
        self.steps: int | None = None if trainer.fast_dev_run or loop.max_steps < 1 else loop.max_steps
        self.epochs = 0 if loop.max_steps == 0 else math.inf if loop.max_epochs == -1 else int(loop.max_epochs or 0)
        self.added = min(finetune_epochs, 1) if trainer.fast_dev_run else finetune_epochs
        self._whole_epoch: tuple[Any, Any] | None = None
        self._durations: list[tuple[Any, float]] = []
        if not self.epochs:
            self.extend(trainer, 0)

    def take_over(self, trainer: Any) -> None:
        """Count the steps here from now on: the loop would end the fit before the cut.

        To be called once the optimizers are configured, which may ask how many steps there are.
        """
        trainer.fit_loop.epoch_loop.max_steps = -1

    def extend(self, trainer: Any, end: int) -> None:
        """Let the fit go on after the sparsify phase, which is over after `end` epochs."""
        trainer.fit_loop.max_epochs = end + self.added

    def begin(self, trainer: Any) -> None:
        """Begin with the sparsify phase, or go on with it: fine-tuning keeps its share, and the cut comes."""
        self.hold_on(trainer, trainer.current_epoch)
        self.share_time(trainer)
        self.end_epoch(trainer)

    def hold_on(self, trainer: Any, processed: int) -> None:
        """Keep the loop from stopping early for one more epoch: its start is where the cut happens."""
        if self.added:
            trainer.fit_loop.min_epochs = processed + 1

    def share_time(self, trainer: Any) -> None:
        """Leave fine-tuning its share of ``max_time``: that of its epochs, or half where they cannot be compared."""
        if self._durations:
            return
        share = self._share(trainer)
        timers = [one for one in trainer.callbacks if is_a(one, "Timer") and one._duration is not None]
        self._durations = [(timer, timer._duration) for timer in timers]
        for timer, duration in self._durations:
            timer._duration = duration * share

    def _share(self, trainer: Any) -> float:
        epochs = self.epochs
        if self.steps is not None and math.isfinite(batches := trainer.num_training_batches):
            epochs = min(epochs, self.steps / math.ceil(batches / trainer.accumulate_grad_batches))
        return epochs / (epochs + self.added) if math.isfinite(epochs) and self.added else 0.5 if self.added else 1.0

    def end_epoch(self, trainer: Any) -> None:
        """Make the batch that used up the steps of the phase the last one of its epoch, which is validated as usual."""
        loop = trainer.fit_loop
        if self._steps_left(trainer) or self._whole_epoch is not None:
            return
        self._whole_epoch = loop.max_batches, trainer.val_check_batch
        progress = loop.epoch_loop.batch_progress
        progress.is_last_batch, loop.max_batches = True, progress.current.ready
        if trainer.check_val_every_n_epoch is not None and trainer.val_check_batch is not None:
            trainer.val_check_batch = loop.max_batches

    def ended(self, trainer: Any, processed: int) -> bool:
        """Whether the sparsify phase has its full length after so many epochs."""
        return processed >= self.epochs or not self._steps_left(trainer)

    def over(self, trainer: Any) -> bool:
        """Whether the sparsify phase is over at the start of an epoch: by its length, or stopped early."""
        enough = trainer.current_epoch >= (self._given[1] or 0) and trainer.global_step >= (trainer.min_steps or 0)
        return self.ended(trainer, trainer.current_epoch) or bool(trainer.should_stop and enough)

    def _steps_left(self, trainer: Any) -> bool:
        return self.steps is None or trainer.global_step < self.steps

    def let_go(self, trainer: Any) -> None:
        """Forget what stopped the sparsify phase; from now on stopping early is the trainer's own affair again."""
        trainer.should_stop = False
        trainer.fit_loop.min_epochs = self._given[1]
        self._give_back(trainer)

    def restore(self, trainer: Any) -> None:
        """Give the trainer the limits that it was built with."""
        loop = trainer.fit_loop
        loop.max_epochs, loop.min_epochs, loop.epoch_loop.max_steps = self._given
        self._give_back(trainer)

    def _give_back(self, trainer: Any) -> None:
        if self._whole_epoch is not None:
            trainer.fit_loop.max_batches, trainer.val_check_batch = self._whole_epoch
        for timer, duration in self._durations:
            timer._duration = duration
        self._whole_epoch, self._durations = None, []
