"""A callback whose checkpoints carry the record of its fit."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.session.resumed_groups import optimized
from physprune_pl.callbacks.session.watching_callback import WatchingCallback
from physprune_pl.surgery.plan import PruningPlan


class RecordedCallback(WatchingCallback):
    """Puts the record of its session into the checkpoints of a fit, and takes it from there."""

    _fitting = False

    @property
    def state_key(self) -> str:
        """Key of the state in checkpoints."""
        return self._generate_state_key(module=self.session.module)

    @property
    def record(self) -> Record:
        """What the fit has done so far."""
        return self.session.record

    @property
    def plan(self) -> PruningPlan | None:
        """What was cut so far, None before."""
        return self.record.plan

    def state_dict(self) -> dict[str, Any]:
        """Return the plan (key ``plan``), the phase, metrics, best weights and times."""
        if self._fitting:
            self.record.tick()
        return self.record.to_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them, when training goes on; testing an older checkpoint does not undo the record."""
        if self._fitting:
            self.session.record = Record.from_dict(state_dict)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what is trained now, and in which groups."""
        if self._fitting:
            checkpoint["callbacks"][self.state_key].update(optimized(trainer, pl_module))
