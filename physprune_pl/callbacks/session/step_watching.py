"""Steps of training and validation are watched for what the trace could not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from physprune_pl.callbacks.session.losses import LossWatch

if TYPE_CHECKING:
    from physprune_pl.callbacks.session.session import PruningSession


class StepWatching(Callback):
    """Watches steps of training and validation with its session, and the loss of every step.

    Of several callbacks with one session the first looks at the losses, see
    :class:`~physprune_pl.callbacks.session.losses.LossWatch`.
    """

    session: PruningSession

    def __init__(self) -> None:
        super().__init__()
        self._losses = LossWatch()

    def _looks_at_losses(self, trainer: Trainer) -> bool:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        same = (one for one in callbacks if isinstance(one, StepWatching) and one.session is self.session)
        return next(same, None) is self

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Begin to watch a training step."""
        self.session.watch("training", pl_module)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:  # noqa: ARG002
        """End the watch: everything but gradients was computed. Look at the loss."""
        self.session.end_watch(trainer)
        if self._looks_at_losses(trainer):
            self._losses.note(trainer, self.session, loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Look for parameters that no step before has reached."""
        self.session.look_at_gradients()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """End the watch over a step that had no backward; look at the losses of an epoch before it is validated."""
        self.session.end_step(trainer)
        if trainer.is_last_batch and self._looks_at_losses(trainer):
            self._losses.end(trainer, self.session)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Begin to watch a validation step."""
        self.session.watch("validation", pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """End the watch over a validation step."""
        self.session.end_watch(trainer)
