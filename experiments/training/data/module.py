"""What train.py asks of every data set, whether it lies in memory or is read while training.

Shape legend: B samples of a batch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader

from experiments.training.tasks import CLASSIFICATION, Task

Batch = tuple[Tensor, Tensor]
SeededBatch = tuple[Tensor, Tensor, int]
SplitName = Literal["train", "val", "test"]


class LabelledData(L.LightningDataModule):
    """Samples with one answer each, a class unless a subclass says otherwise, in the splits train, val and test.

    Attributes:
        shape: what a network must know of one sample, such as (colours, height, width).
        classes: number of classes, where the answers are classes.
        task: what networks are trained for.
        sizes: what the factory of a network is called with.

    Args:
        batch_size: samples of a training batch; evaluation takes four times as many.
        seed: start of the order of the samples and of their augmentation.

    Raises:
        ValueError: when ``batch_size`` is under 1.
    """

    shape: tuple[int, ...]
    classes: int
    task: ClassVar[Task] = CLASSIFICATION

    def __init__(self, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.batch_size, self.seed = batch_size, seed

    @property
    def sizes(self) -> dict[str, Any]:
        return {"shape": self.shape, "classes": self.classes}

    def setup(self, stage: str | None = None) -> None:
        """Get the splits ready; a second call changes nothing."""
        raise NotImplementedError

    def example(self, count: int) -> Tensor:
        """Return a batch of blank samples, as the network takes them."""
        raise NotImplementedError

    def loader(self, split: SplitName) -> DataLoader[SeededBatch]:
        """Return the batches of a split, after ``setup``; only those of ``train`` are shuffled."""
        raise NotImplementedError

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        """Return what the network takes and what it should answer: class indices [B], or shares [B, classes].

        Shares come with ``augment`` alone: an evaluation always gets class indices.
        """
        raise NotImplementedError

    def size_of_batch(self, split: SplitName) -> int:
        """Return how many samples a batch of a split has."""
        return self.batch_size if split == "train" else 4 * self.batch_size

    def train_dataloader(self) -> DataLoader[SeededBatch]:
        return self.loader("train")

    def val_dataloader(self) -> DataLoader[SeededBatch]:
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[SeededBatch]:
        return self.loader("test")

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:  # noqa: ARG002
        training = self.trainer is not None and self.trainer.training
        return self.prepare(batch, augment=training)
