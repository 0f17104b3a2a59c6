"""What the tiny modules share that look as those of real Lightning libraries do, in our own words."""

from __future__ import annotations

from itertools import pairwise

import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader

ROWS, COLUMNS = 64, 4


def mlp(*widths):
    """Return linear layers with ReLUs between them."""
    layers = [part for size in pairwise(widths) for part in (nn.Linear(*size), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def rows():
    """Return rows of numbers and what is to be predicted of each."""
    inputs = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    return list(zip(inputs, inputs[:, :1] * inputs[:, 1:2], strict=True))


class Style(LightningModule):
    """A module that shares one loss between training and validation; ``collated`` makes its batches."""

    def __init__(self):
        super().__init__()
        self.net = mlp(COLUMNS, 16, 16, 1)

    @staticmethod
    def collated(samples):
        inputs, targets = map(torch.stack, zip(*samples, strict=True))
        return inputs, targets

    def loss(self, batch):
        raise NotImplementedError

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch), batch_size=16)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)

    def loader(self):
        """Return the loader of its batches."""
        return DataLoader(rows(), batch_size=16, collate_fn=self.collated)
