"""Steps of training and validation are watched for what the trace could not see."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.losses import LossWatch
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import SessionCallback


class WatchingCallback(SessionCallback):
    """Watches steps of training and validation with its session, and the loss of every step.

    Of several callbacks with one session the first looks at the losses, see
    :class:`~physprune_pl.callbacks.session.losses.LossWatch`.
    """

    def __init__(self, session: PruningSession | None, arguments: FitArguments) -> None:
        super().__init__(session, arguments)
        self._losses = LossWatch()

    def _looks_at_losses(self, trainer: Trainer) -> bool:
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
        self._begin("training", pl_module)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:  # noqa: ARG002
        """End the watch: everything but gradients was computed. Look at the loss."""
        self._end(trainer)
        if self._looks_at_losses(trainer):
            self._losses.note(trainer, self.session, loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Look for parameters that no step before has reached."""
        if self.session.presses:
            self.session.step_watch.look_at_gradients()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """End the watch over a step that had no backward; look at the losses of an epoch before it is validated."""
        self._end(trainer)
        self.session.source.end_step()
        self.session.step_watch.end_step()
        if trainer.is_last_batch and self._looks_at_losses(trainer):
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
