"""Keeps what the report needs of a run: the validation metric by epoch, and the network before the cut."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lightning as L
import torch

from physprune_pl import PruneAndFinetune
from physprune_pl.tools.files import replaced


class RunRecorder(L.Callback):
    """Records ``metric`` after every validation, and the weights after every epoch of the sparsify phase.

    Args:
        folder: where ``sparsified.pt`` goes.
        pruner: the callback that cuts; None in a run that cuts nothing.
        metric: key of the validation metric.
    """

    def __init__(self, folder: str | Path, pruner: PruneAndFinetune | None, metric: str) -> None:
        super().__init__()
        self.path = Path(folder) / "sparsified.pt"
        self.pruner, self.metric = pruner, metric
        self.curve: dict[int, float] = {}
        self._resumed: Path | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the weights that the fit starts from: it may cut at once. After the cut take those of the old run.

        Raises:
            FileNotFoundError: when a run is resumed after its cut and the weights before it are gone.
        """
        self._save(trainer, pl_module)
        # Only the first of several processes writes the file, and only it reads the file in the end.
        if self.pruner is not None and trainer.is_global_zero and not self.path.exists():
            if self._resumed is None or not self._resumed.exists():
                raise FileNotFoundError(f"a run resumed after its cut needs the weights before it: {self._resumed}")
            with replaced(self.path) as part:
                shutil.copy(self._resumed, part)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Note the metric of the epoch; a later validation of the same epoch takes its place."""
        if not trainer.sanity_checking and self.metric in trainer.callback_metrics:
            self.curve[trainer.current_epoch] = float(trainer.callback_metrics[self.metric])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the weights, until what is left is fine-tuned."""
        self._save(trainer, pl_module)

    def _save(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.pruner is not None and self.pruner.record.phase == "sparsify" and trainer.is_global_zero:
            with replaced(self.path) as part:
                torch.save(pl_module.state_dict(), part)

    def state_dict(self) -> dict[str, Any]:
        """Return the curve, so that a resumed run draws the whole of it, and where the weights are."""
        return {"curve": dict(self.curve), "path": str(self.path.absolute())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the curve and the weights of the run that is resumed."""
        self.curve, self._resumed = dict(state_dict["curve"]), Path(state_dict["path"])
