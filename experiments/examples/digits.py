"""What several examples share: scikit-learn's handwritten digits, and a plain LightningModule around a classifier."""

from __future__ import annotations

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]


class Digits(L.LightningDataModule):
    """1797 pictures of 8 x 8 pixels: 1500 to train with, 297 to validate with."""

    def __init__(self, batch_size: int = 100) -> None:
        super().__init__()
        pictures, labels = load_digits(return_X_y=True)
        whole = TensorDataset(torch.tensor(pictures, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(labels))
        self.batch_size, self.whole = batch_size, whole

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*self.whole[:1500]), self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*self.whole[1500:]), self.batch_size)


class Classifier(L.LightningModule):
    """Any network that returns one score per class."""

    def __init__(self, network: nn.Module, lr: float = 0.05) -> None:
        super().__init__()
        self.network, self.lr = network, lr

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.network(pictures)
        return scores

    def training_step(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Batch) -> None:
        scores = self(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(scores, batch[1]))
        self.log("val_acc", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


def small_network() -> nn.Sequential:
    """Return two convolutions with batch norm and a linear layer."""
    first = (nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    second = (nn.Conv2d(16, 32, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    return nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))
