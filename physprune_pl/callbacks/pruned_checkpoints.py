"""Lets a trainer that prunes nothing work with checkpoints of pruned networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from physprune_pl.callbacks.cut.reloading import complete_with
from physprune_pl.callbacks.cut.shapes import AnyWidth, states_in
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.checkpoints import complete_files


class PrunedCheckpoints(Callback):
    """Lets a dense module take the shapes of the pruned checkpoint that its trainer loads, by the plan in it.

    One line in a script that only evaluates, or trains a pruned network further:
    ``Trainer(callbacks=[PrunedCheckpoints()]).test(module, data, ckpt_path="last.ckpt")``; or one method of the module,
    for every trainer that it meets: ``def configure_callbacks(self): return [PrunedCheckpoints()]``. Names of compiled
    modules are those of the module, whichever side was compiled. Other checkpoints load as they always do, and what a
    further fit writes carries the plan on.

    Raises:
        ValueError: when a checkpoint is loaded whose plan was made for another network.

    >>> PrunedCheckpoints().state_key
    'PrunedCheckpoints'
    """

    def __init__(self) -> None:
        super().__init__()
        self._any_width = AnyWidth()
        self._states: Mapping[str, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Let checkpoints of any width load from now on."""
        self._any_width.attach(pl_module, Record())
        self._states = {}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was pruned, and let what a fit writes say so."""
        self._states, kind = states_in(checkpoint), type(pl_module)
        if self._states:
            complete_files(trainer, "PrunedCheckpoints", lambda file: complete_with(file, self._states, kind))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Leave the module alone again."""
        self._any_width.detach()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave the module alone again."""
        self._any_width.detach()
