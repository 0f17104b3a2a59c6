"""Accuracy of several networks in one pass."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from experiments.training.data.module import LabelledData
from experiments.training.evaluation import evaluate


class Stream(LabelledData):
    """Batches that nobody can count before they came: numbers 0 .. 6, whose class is their remainder by 3."""

    shape, classes = (1,), 3

    def setup(self, stage: str | None = None) -> None:
        self.read = 0

    def loader(self, split: str) -> Any:
        return self._batches({"val": range(7), "test": range(7, 12)}[split])

    def _batches(self, numbers: range) -> Iterator[tuple[Tensor, Tensor, int]]:
        for batch in torch.tensor(numbers).split(self.batch_size):
            self.read += 1
            yield batch, batch % 3, 0

    def prepare(self, batch: tuple[Tensor, Tensor, int], augment: bool = False) -> tuple[Tensor, Tensor]:
        assert not augment
        return batch[0], batch[1]


class Remainder(nn.Module):
    """Answers the remainder, plus an error."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error

    def forward(self, numbers: Tensor) -> Tensor:
        assert not self.training
        return nn.functional.one_hot((numbers + self.error * (numbers % 2)) % 3, 3).float()


def test_every_batch_is_read_once_and_counted() -> None:
    data = Stream(batch_size=3)
    networks = {"right": Remainder(0), "half": Remainder(1)}
    assert evaluate(networks, data, torch.device("cpu"), "val") == {"right": 1.0, "half": 4 / 7}
    assert data.read == 3
    assert evaluate(networks, data, torch.device("cpu"), "test") == {"right": 1.0, "half": 2 / 5}
