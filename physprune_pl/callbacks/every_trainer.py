"""What every Trainer of an environment is given, so that one without our callbacks loads pruned checkpoints too.

The entry points of pyproject.toml name :func:`callbacks_for_every_trainer`; Lightning calls it for each Trainer.
"""

from __future__ import annotations

import os
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from physprune_pl.callbacks.cut.shapes import PlannedWidth
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.pruned_checkpoints import PrunedCheckpoints
from physprune_pl.callbacks.trainer.composite import unfolded

SWITCH = "PHYSPRUNE_EVERY_TRAINER"
"""Environment variable: 0 leaves every Trainer as it is."""


class PrunedCheckpointsEverywhere(PrunedCheckpoints):
    """Does what :class:`PrunedCheckpoints` does, and nothing until a file is loaded that carries a plan.

    It stands back where a Trainer has callbacks that load such files themselves, and keeps no state. Lightning appends
    it to the very list that a Trainer was given, so that it is the last there; ``callbacks[-1].report`` and the like
    still are what the callback says that was the last before.

    >>> PrunedCheckpointsEverywhere().state_dict()
    {}
    """

    def __init__(self) -> None:
        super().__init__()
        self._any_width = PlannedWidth()
        self._before: Callback | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what the callback before this one has by this name, of what this one has not."""
        before = None if name.startswith("__") else vars(self).get("_before")
        if before is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(before, name)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let pruned checkpoints load from now on, if nobody else does."""
        others: list[Callback] = unfolded(trainer.callbacks)  # type: ignore[attr-defined]
        place = next((place for place, one in enumerate(others) if one is self), 0)
        self._before = others[place - 1] if place else None
        if not any(_loads(one) for one in others):
            super().setup(trainer, pl_module, stage)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was pruned, if nobody else does."""
        if self._any_width.attached:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Leave the module alone: a file that is loaded is loaded by now."""
        self._any_width.detach()


def callbacks_for_every_trainer() -> list[Callback]:
    """Return the callback that every Trainer gets, or none where the environment says so.

    Raises:
        ValueError: the variable ``PHYSPRUNE_EVERY_TRAINER`` is neither 0 nor 1.
    """
    said = os.environ.get(SWITCH, "1")
    if said not in ("0", "1"):
        raise ValueError(f"{SWITCH}: expected 0 (leave every Trainer as it is) or 1, got {said!r}")
    return [PrunedCheckpointsEverywhere()] if said == "1" else []


def _loads(callback: Callback) -> bool:
    ours = isinstance(callback, (PrunedCheckpoints, PruneAndFinetune))
    return ours and not isinstance(callback, PrunedCheckpointsEverywhere)
