"""What a fit aims at: the target is checked as soon as the network is traced, and the channels are chosen in time."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from physprune_pl.callbacks import cutting
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths


class Aim:
    """Finds out which channels go so that the target is met."""

    def __init__(self, session: PruningSession, target: Target, widths: Widths) -> None:
        self._session, self._target, self._widths = session, target, widths

    def find_chooser(
        self, trainer: Trainer, pl_module: LightningModule, record: Record, batch: Any = None
    ) -> Chooser | None:
        """Trace, and choose once so that a target out of reach is known now; None as long as there is no input."""
        session = self._session
        fresh = not session.ready
        if not session.prepare(trainer, pl_module, batch):
            return None
        # Always the session's: a step may show that groups must stay whole.
        chooser = session.chooser or Chooser(session.trace, self._target, self._widths)
        if fresh or "trace" not in record.seconds:
            record.seconds["trace"] = session.trace.seconds
            cutting.choose(session, chooser, None)
        return chooser

    def need_chooser(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> Chooser:
        """Trace with the first training batch if there was no input before."""
        chooser = self.find_chooser(trainer, pl_module, record)
        chooser = chooser or self.find_chooser(trainer, pl_module, record, cutting.first_batch(trainer))
        if chooser is None:
            raise RuntimeError("the network could not be traced with the first training batch")
        return chooser

    def choose(self, chooser: Chooser, record: Record) -> list[Tensor]:
        """Channels to remove, bool [K] per group on the CPU; groups that did not arrive are noted."""
        steering = self._session.steering
        record.not_arrived = cutting.not_arrived(self._session, steering)
        return [mask.cpu() for mask in cutting.choose(self._session, chooser, steering)]
