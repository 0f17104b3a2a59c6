"""The LightningModule of the experiments; it knows nothing of pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torchmetrics import MeanMetric

from experiments.training.tasks import Task

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Supervised(L.LightningModule):
    """Training of a network for one task, the learning rate falling as a half cosine, step by step, to zero.

    Args:
        network: maps a batch, such as pictures [B, C, H, W], to outputs, such as class scores [B, classes].
        optimizer: makes the optimizer from the parameters, such as ``partial(torch.optim.SGD, lr=0.1)``.
        example: a batch to trace the network with.
        task: loss and metric.
        warmup: share of the steps in which the learning rate rises to its first value, in [0, 1).

    Raises:
        ValueError: when ``warmup`` is outside its range.
    """

    def __init__(
        self, network: nn.Module, optimizer: OptimizerFactory, example: Tensor, task: Task, warmup: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup: expected a share in [0, 1), got {warmup}")
        self.warmup = warmup
        self.network = network
        self.optimizer = optimizer
        self.example_input_array = example
        self.task = task
        self.val_metric, self.test_metric = MeanMetric(), MeanMetric()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the network."""
        outputs: Tensor = self.network(inputs)
        return outputs

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch."""
        inputs, answers = batch
        loss = self.task.loss(self(inputs), answers)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(answers))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Log loss and metric of the validation split."""
        self._evaluate(batch, "val", self.val_metric)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Log loss and metric of the test split."""
        self._evaluate(batch, "test", self.test_metric)

    def _evaluate(self, batch: tuple[Tensor, Tensor], split: str, metric: MeanMetric) -> None:
        inputs, answers = batch
        outputs = self(inputs)
        metric(self.task.scores(outputs, answers))
        loss, count = self.task.loss(outputs, answers), len(answers)
        self.log(f"{split}/loss", loss, sync_dist=True, batch_size=count)
        self.log(f"{split}/{self.task.key}", metric, prog_bar=True, on_step=False, on_epoch=True, batch_size=count)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer and its cosine schedule over the steps that the trainer plans."""
        optimizer = self.optimizer(self.network.parameters())
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = rising_and_falling(optimizer, steps, round(self.warmup * steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rising_and_falling(optimizer: torch.optim.Optimizer, steps: int, rising: int) -> LRScheduler:
    """Return a schedule that rises in a straight line for some of the steps and falls as a half cosine to zero.

    Args:
        optimizer: with the largest learning rates.
        steps: in all.
        rising: of them, at the beginning; 0 for none.
    """
    falling = CosineAnnealingLR(optimizer, T_max=steps - rising)
    if not rising:
        return falling
    return SequentialLR(optimizer, [LinearLR(optimizer, 1 / (rising + 1), total_iters=rising), falling], [rising])
