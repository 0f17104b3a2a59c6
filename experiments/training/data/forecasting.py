"""Series to forecast: one table in memory, from which windows are cut.

Shape legend: T hours, V variables, B windows of a batch, L hours that a network sees, H hours that it forecasts.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.utils import download_url

from experiments.training.data.module import Batch, LabelledData, SeededBatch, SplitName
from experiments.training.data.order import BatchOrder
from experiments.training.tasks import FORECASTING

ADDRESS = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
MONTH = 30 * 24
# Hours at which the splits end: 12 months to train with, 4 to validate and 4 to test with, as the papers have it.
ENDS = {"train": 12 * MONTH, "val": 16 * MONTH, "test": 20 * MONTH}


@dataclass(frozen=True)
class Windows(Dataset[SeededBatch]):
    """All windows of a part of a series, indexed by whole batches.

    Attributes:
        series: float [T, V].
        seen: hours of a window that a network sees.
        horizon: hours after them that it forecasts.
    """

    series: Tensor
    seen: int
    horizon: int

    def __len__(self) -> int:
        return max(0, len(self.series) - self.seen - self.horizon + 1)

    def __getitem__(self, batch: tuple[list[int], int]) -> SeededBatch:
        starts, seed = batch
        hours = torch.tensor(starts)[:, None] + torch.arange(self.seen + self.horizon)
        windows = self.series[hours]
        return windows[:, : self.seen], windows[:, self.seen :], seed


class ETTh1(LabelledData):
    """Load and oil temperature of a transformer, hour by hour for two years: seven variables, all forecast from all.

    The splits are those of the papers: 12, 4 and 4 months, one after the other, every variable scaled to mean 0 and
    deviation 1 of the training months. The first window of validation and of testing forecasts the first hours of its
    split; what it sees lies before.

    Attributes:
        shape: (hours seen, variables).
        sizes: ``shape`` and ``horizon``.

    Args:
        root: folder that holds ``ETT-small/ETTh1.csv``; what is not there is downloaded.
        seen: hours that a network sees, L.
        horizon: hours that it forecasts, H.
        batch_size: windows of a training batch; evaluation takes four times as many.
        seed: start of the order of the windows.

    Raises:
        ValueError: when a number is under 1, or no window fits into a split.

    Source: Zhou et al., Informer, arXiv:2012.07436.
    """

    task = FORECASTING

    def __init__(
        self, root: str | Path = "data", seen: int = 336, horizon: int = 96, batch_size: int = 32, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed)
        for name, value in (("seen", seen), ("horizon", horizon)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if horizon > 4 * MONTH or seen + horizon > 12 * MONTH:
            raise ValueError(f"seen, horizon: expected windows shorter than the splits, got {seen} + {horizon} hours")
        self.root, self.shape, self.horizon = Path(root), (seen, 7), horizon
        self.splits: dict[str, Windows] = {}

    @property
    def sizes(self) -> dict[str, Any]:
        return {"shape": self.shape, "horizon": self.horizon}

    @property
    def path(self) -> Path:
        """The table."""
        return self.root / "ETT-small" / "ETTh1.csv"

    def prepare_data(self) -> None:
        """Download the table unless its folder is there already."""
        if not self.path.parent.exists():
            download_url(ADDRESS, str(self.path.parent))

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - the name is Lightning's
        if self.splits:
            return
        series = read_series(self.path, ENDS["test"])
        training = series[: ENDS["train"]]
        scaled = (series - training.mean(dim=0)) / training.std(dim=0, correction=0)
        seen, begin = self.shape[0], self.shape[0]
        for name, end in ENDS.items():
            self.splits[name] = Windows(scaled[begin - seen : end].float(), seen, self.horizon)
            begin = end

    def example(self, count: int) -> Tensor:
        """Return the windows [count, L, V] of a slow wave: one without any change cannot be scaled."""
        wave = torch.linspace(0.0, 12.0, self.shape[0]).sin()
        return wave[None, :, None].repeat(count, 1, self.shape[1])

    def loader(self, split: SplitName) -> DataLoader[SeededBatch]:
        windows = self.splits[split]
        order = BatchOrder(len(windows), self.size_of_batch(split), self.seed, shuffle=split == "train")
        return DataLoader(windows, sampler=order, batch_size=None)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:  # noqa: ARG002 - nothing is augmented
        """Return what a network sees [B, L, V] and what it should forecast [B, H, V]."""
        return batch[0], batch[1]


def read_series(path: Path, hours: int) -> Tensor:
    """Read the first hours of a table whose first line names the columns and whose first column is the date, [T, V].

    Raises:
        FileNotFoundError: when the file is not there.
        ValueError: when it has fewer hours, or a cell is no number.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; remove the folder {path.parent} to download it anew")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1 : hours + 1]
    if len(rows) < hours:
        raise ValueError(f"{path}: expected at least {hours} hours, got {len(rows)}")
    try:
        return torch.tensor([[float(cell) for cell in row[1:]] for row in rows], dtype=torch.float64)
    except ValueError as error:
        raise ValueError(f"{path}: expected a date and numbers in every line: {error}") from error
