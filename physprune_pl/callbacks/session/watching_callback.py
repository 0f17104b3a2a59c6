"""Steps of training and validation are watched for what the trace could not see."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.losses import LossWatch
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import SessionCallback
from physprune_pl.callbacks.trainer.injection import held_ids, scale_at_step, steps_without_backward


class WatchingCallback(SessionCallback):
    """Watches steps of training and validation with its session, and the loss and the gradients of every step.

    Of several callbacks with one session the first looks at the losses, see
    :class:`~physprune_pl.callbacks.session.losses.LossWatch`, and at the gradients, before any other adds to them, see
    :class:`~physprune_pl.pressing.importance.Importance`.
    """

    def __init__(self, session: PruningSession | None, arguments: FitArguments) -> None:
        super().__init__(session, arguments)
        self._losses = LossWatch()
        self._went_back = False

    def _leads(self, trainer: Trainer) -> bool:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        same = (one for one in callbacks if isinstance(one, WatchingCallback) and one.session is self.session)
        return next(same, None) is self

    def _begin(self, kind: str, pl_module: LightningModule) -> None:
        session = self.session
        if session.presses:
            session.step_watch.start(kind, pl_module, session.model, session.trace.parameters)

    def _end(self, trainer: Trainer) -> None:
        """Leave whole from now on what an unknown parameter was seen to read, on this process or another."""
        found = self.session.step_watch.stop(trainer, self.session.groups)
        if found:
            rank_zero_warn("; ".join(f"{name} is not pruned: {reason}" for name, reason in found.items()))
            self.session.exclude(found)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Begin to watch a training step."""
        self._went_back = False
        self._begin("training", pl_module)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:  # noqa: ARG002
        """End the watch: everything but gradients was computed. Look at the loss."""
        self._end(trainer)
        if self._leads(trainer):
            self._losses.note(trainer, self.session, loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Look for parameters that no step before has reached."""
        self._went_back = True
        if self.session.presses:
            self.session.step_watch.look_at_gradients()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Read what the gradients tell of the channels, where they choose what is cut."""
        if self._leads(trainer) and (self._went_back or steps_without_backward(trainer, pl_module)):
            self._note_gradients(optimizer, scale_at_step(trainer, pl_module.device, optimizer))

    def _note_gradients(self, optimizer: Optimizer, scale: Tensor | float = 1.0) -> None:
        session = self.session
        if session.importance is not None and session.presses:
            with session.trainable():
                session.importance.note(scale, held_ids([optimizer]))

    def _set_penalty_aside(self, trainer: Trainer, scale: Tensor | float) -> None:
        """Note what the gradients of the loss, which come on top, will not have said."""
        if self.session.importance is not None:
            with self.session.trainable():
                self.session.importance.set_aside(scale, held_ids(trainer.optimizers))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """End the watch over a step that had no backward; look at the losses of an epoch before it is validated."""
        self._end(trainer)
        self.session.source.end_step()
        self.session.step_watch.end_step()
        if trainer.is_last_batch and self._leads(trainer):
            self._losses.end(trainer, self.session)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Take back what was put into the module for a step that will not end."""
        self.session.source.end_step()

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Begin to watch a validation step."""
        self._begin("validation", pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """End the watch over a validation step."""
        self._end(trainer)
