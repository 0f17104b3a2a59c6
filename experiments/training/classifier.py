"""The LightningModule of the experiments; it knows nothing of pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Classifier(L.LightningModule):
    """Cross-entropy training of a network, the learning rate falling as a half cosine, step by step, to zero.

    Args:
        network: maps a batch, such as pictures [B, C, H, W], to class scores [B, classes].
        optimizer: makes the optimizer from the parameters, such as ``partial(torch.optim.SGD, lr=0.1)``.
        example: a batch to trace the network with.
        classes: number of classes.
    """

    def __init__(self, network: nn.Module, optimizer: OptimizerFactory, example: Tensor, classes: int) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.example_input_array = example
        self.val_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return class scores [B, classes]."""
        scores: Tensor = self.network(inputs)
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the cross-entropy of one batch."""
        inputs, answers = batch
        loss = nn.functional.cross_entropy(self(inputs), answers)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(answers))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Log loss and accuracy of the validation split."""
        self._evaluate(batch, "val", self.val_accuracy)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Log loss and accuracy of the test split."""
        self._evaluate(batch, "test", self.test_accuracy)

    def _evaluate(self, batch: tuple[Tensor, Tensor], split: str, accuracy: Metric) -> None:
        inputs, labels = batch
        scores = self(inputs)
        accuracy(scores, labels)
        loss = nn.functional.cross_entropy(scores, labels)
        self.log(f"{split}/loss", loss, sync_dist=True, batch_size=len(labels))
        self.log(f"{split}/acc", accuracy, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(labels))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer and its cosine schedule over the steps that the trainer plans."""
        optimizer = self.optimizer(self.network.parameters())
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
