"""Data sets that fit in memory: every split is a tensor, and whole batches are cut from it.

Shape legend: N samples of a split.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.training.data.module import LabelledData, SeededBatch, SplitName
from experiments.training.data.order import BatchOrder


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


class TensorData(LabelledData):
    """Train, validation and test splits of one set; a subclass says what the set is in ``load``.

    Attributes:
        splits: ``train``, ``val`` and ``test``, after ``setup``.

    Args:
        batch_size: samples of a training batch; evaluation takes four times as many.
        seed: start of the order of the samples and of their augmentation.

    Raises:
        ValueError: when ``batch_size`` is under 1.
    """

    def __init__(self, batch_size: int, seed: int = 0) -> None:
        super().__init__(batch_size, seed)
        self.splits: dict[str, Split] = {}

    def load(self) -> dict[str, Split]:
        """Return the splits named train, val and test."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - the name is Lightning's
        if not self.splits:
            self.splits = self.load()

    def loader(self, split: SplitName) -> DataLoader[SeededBatch]:
        samples = self.splits[split]
        order = BatchOrder(len(samples), self.size_of_batch(split), self.seed, shuffle=split == "train")
        # batch_size=None: the sampler's items are whole batches, so nothing is collated sample by sample.
        return DataLoader(samples, sampler=order, batch_size=None)
