"""A run that is killed goes on where it was: the same call, with the checkpoint it left."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from experiments.examples.digits import Classifier, Digits, small_network
from physprune_pl import PruningReport, physics_pruning
from physprune_pl.callbacks import AtomicCheckpointIO


class Killer(Callback):
    """Stands for a power cut at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Strike."""
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("power cut")


def fit(folder: str | Path, epochs: int, *more: Callback, checkpoint: Path | None = None) -> PruningReport:
    """Train, cut and fine-tune; ``last.ckpt`` is written after every epoch, in one piece."""
    L.seed_everything(0, verbose=False)
    callbacks = physics_pruning("gravity", target={"macs": 0.4}, finetune_epochs=max(1, epochs // 3))
    last = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[*more, last, *callbacks], plugins=AtomicCheckpointIO()
    )
    trainer.fit(Classifier(small_network()), datamodule=Digits(), ckpt_path=checkpoint)
    return callbacks.report


def main(epochs: int = 15, killed_at: int = 10, folder: str | Path = "runs/resume") -> PruningReport:
    """Lose the power in the middle of a run, and finish it."""
    try:
        fit(folder, epochs, Killer(killed_at))
    except RuntimeError as error:
        print(f"{error} in epoch {killed_at}")
    return fit(folder, epochs, checkpoint=Path(folder) / "last.ckpt")


if __name__ == "__main__":
    print(main().table())
