"""A data set whose samples are numbers and a module that notes which ones it was given: who saw what, and when."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from experiments.training.data.module import Batch, LabelledData, SeededBatch
from experiments.training.data.tensors import Split, TensorData

Seen = tuple[int, list[Any]]


class Numbered(TensorData):
    """Every sample is its own number, and its own class; a training input comes with its batch's seed."""

    shape, classes = (2,), 20

    def load(self) -> dict[str, Split]:
        numbers = torch.arange(self.classes)
        return dict.fromkeys(("train", "val", "test"), Split(numbers, numbers))

    def example(self, count: int) -> torch.Tensor:
        return torch.zeros(count, 2)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        numbers, labels, seed = batch
        drawn = torch.rand(len(numbers), generator=torch.Generator().manual_seed(seed)) * augment
        return torch.stack([numbers, drawn], dim=1), labels


class Watch(L.LightningModule):
    """Notes every training batch and learns next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: list[Seen] = []
        self.validated: list[int] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch[0].tolist()))
        return self.weight * batch[0].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.validated += batch[1].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class WriteSeen(L.Callback):
    """Leaves what this process saw in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Watch)
        torch.save((pl_module.seen, pl_module.validated), self.folder / f"{trainer.global_rank}.pt")


def fitted(data: LabelledData, folder: Path, resume: Path | None = None, **settings: Any) -> Watch:
    """Return a module after three epochs on the CPU."""
    module = Watch()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_epochs=3, accelerator="cpu", default_root_dir=str(folder), **quiet, **settings)
    trainer.fit(module, datamodule=data, ckpt_path=resume)
    return module


def interrupted(first: LabelledData, second: LabelledData, folder: Path) -> tuple[list[Seen], list[Seen]]:
    """Return what a whole fit saw, and what one saw that went on from its first epoch's checkpoint."""
    keep = [ModelCheckpoint(dirpath=folder, filename="{epoch}", save_top_k=-1)]
    whole = fitted(first, folder, callbacks=keep)
    torch.manual_seed(99)
    return whole.seen, fitted(second, folder, folder / "epoch=0.ckpt", callbacks=keep).seen
