"""A loss that is no finite number ends the fit before it spoils a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

if TYPE_CHECKING:
    from physprune_pl.callbacks.session.session import PruningSession

# Steps from one look at a loss on a device to the next: each makes the processor wait for the device.
READ_EVERY = 50


class LossWatch:
    """Notes losses, and says where the first one was that is not finite.

    On the CPU every loss is looked at, on other devices every fiftieth and the last of an epoch, with those between
    remembered there. Where a gradient scaler skips such steps itself they are counted, and an epoch that had some ends
    with a warning.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None
        self._first: Tensor | None = None

    def note(self, trainer: Trainer, session: PruningSession, loss: Tensor) -> None:
        """Note one loss.

        Raises:
            ValueError: a loss was not finite, and no scaler skips the step.
        """
        bad = ~loss.detach().isfinite().all()
        step = torch.where(bad, trainer.global_step, -1)
        self._first = step if self._first is None else torch.where(self._first < 0, step, self._first)
        self._bad = bad.long() if self._bad is None else self._bad + bad
        if not _skips(trainer) and (loss.device.type == "cpu" or trainer.global_step % READ_EVERY == 0):
            self._judge(trainer, session)

    def end(self, trainer: Trainer, session: PruningSession) -> None:
        """Look at what the epoch has left, and begin anew.

        Raises:
            ValueError: a loss was not finite, and no scaler skips the step.
        """
        if self._bad is None:
            return
        if not _skips(trainer):
            self._judge(trainer, session)
        elif count := int(self._bad):
            rank_zero_warn(
                f"epoch {trainer.current_epoch}: the loss was not finite in {count} batches; the gradient scaler skips "
                f"such steps"
            )
        self._bad = self._first = None

    def _judge(self, trainer: Trainer, session: PruningSession) -> None:
        step = -1 if self._first is None else int(self._first)
        if step < 0:
            return
        self._bad = self._first = None
        raise ValueError(
            f"the loss is not finite in epoch {trainer.current_epoch}, optimizer step {step}; {_weights(session)}"
        )


def _skips(trainer: Trainer) -> bool:
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def _weights(session: PruningSession) -> str:
    """Which groups have strengths that are not finite: a force may be to blame, or the weights may be fine."""
    if not session.ready:
        return "the network is not traced yet"
    strengths = session.penalty.strengths()
    parts = zip(session.groups, session.penalty.segments, strict=True)
    names = [group.name for group, part in parts if not bool(strengths[part].isfinite().all())]
    return (
        f"nor are the strengths of the groups {', '.join(names)}" if names else "the strengths of all groups are finite"
    )
