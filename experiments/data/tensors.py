"""What every data set here has in common: its splits are tensors, and an epoch is drawn from (seed, epoch) alone.

Shape legend: N samples of a split, B samples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

Batch = tuple[Tensor, Tensor]
SeededBatch = tuple[Tensor, Tensor, int]


@dataclass(frozen=True)
class Split(Dataset[SeededBatch]):
    """One split: ``inputs`` [N, ...] and ``labels`` int64 [N]; indexed by whole batches."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, batch: tuple[list[int], int]) -> SeededBatch:
        indices, seed = batch
        return self.inputs[indices], self.labels[indices], seed


class BatchOrder(Sampler[tuple[list[int], int]]):
    """Batches of indices, each with a seed for its augmentation, drawn from (seed, epoch) alone.

    Lightning calls ``set_epoch``, also after a resume, so an epoch repeats whatever ran before it. Where several
    processes train together each takes its share of the shuffled batches; what is not shuffled, the evaluation, every
    process reads whole, so that its figures are exact.
    """

    def __init__(self, size: int, batch_size: int, seed: int, shuffle: bool) -> None:
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, processes = -(-self.size // self.batch_size), self._share()[1]
        if whole < processes:
            raise ValueError(f"batch_size: {self.size} samples make {whole} batches, too few for {processes} processes")
        return whole // processes

    def __iter__(self) -> Iterator[tuple[list[int], int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator) if self.shuffle else torch.arange(self.size)
        rank, processes = self._share()
        for place, indices in enumerate(torch.split(order, self.batch_size)):
            seed = int(torch.randint(2**62, (), generator=generator))
            # Every process has as many batches: a remainder would leave the others waiting for it.
            if place % processes == rank and place // processes < len(self):
                yield indices.tolist(), seed

    def _share(self) -> tuple[int, int]:
        distributed = torch.distributed
        if not self.shuffle or not distributed.is_available() or not distributed.is_initialized():
            return 0, 1
        return distributed.get_rank(), distributed.get_world_size()


class TensorData(L.LightningDataModule):
    """Train, validation and test splits of one set; a subclass says what the set is.

    Attributes:
        shape: what a network must know of one sample, such as (colours, height, width).
        classes: number of classes.
        splits: ``train``, ``val`` and ``test``, after ``setup``.

    Args:
        batch_size: samples of a training batch; evaluation takes four times as many.
        seed: start of the order of the samples and of their augmentation.

    Raises:
        ValueError: when ``batch_size`` is under 1.
    """

    shape: tuple[int, ...]
    classes: int

    def __init__(self, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.batch_size, self.seed = batch_size, seed
        self.splits: dict[str, Split] = {}

    def load(self) -> dict[str, Split]:
        """Return the splits named train, val and test."""
        raise NotImplementedError

    def example(self, count: int) -> Tensor:
        """Return a batch of blank samples, as the network takes them."""
        raise NotImplementedError

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        """Return what the network takes and what it should answer: class indices [B], or shares [B, classes]."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - the name is Lightning's
        if not self.splits:
            self.splits = self.load()

    def train_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("train", self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("val", 4 * self.batch_size)

    def test_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("test", 4 * self.batch_size)

    def _loader(self, name: str, batch_size: int, shuffle: bool = False) -> DataLoader[SeededBatch]:
        split = self.splits[name]
        order = BatchOrder(len(split), batch_size, self.seed, shuffle)
        # batch_size=None: the sampler's items are whole batches, so nothing is collated sample by sample.
        return DataLoader(split, sampler=order, batch_size=None)

    def on_after_batch_transfer(self, batch: SeededBatch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        training = self.trainer is not None and self.trainer.training
        return self.prepare(batch, augment=training)
