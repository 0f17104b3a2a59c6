"""A network that trains in a blink, its data, and a quiet trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

Batch = list[Tensor]
RATE = 0.05
BATCHES = 5


def network(first: int = 6, second: int = 6) -> nn.Sequential:
    """Two convolutions of some widths with norms, and a head for two classes."""
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.Conv2d(first, second, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(second, 2),
    )


def loader(batches: int = BATCHES, seed: int = 3) -> DataLoader[tuple[Tensor, ...]]:
    """Pictures of 6 x 6 pixels, the class is the brightness; batches of 8, always in the same order."""
    labels = torch.arange(8 * batches) % 2
    noise = torch.randn(len(labels), 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(noise + 0.3 * labels[:, None, None, None], labels), batch_size=8)


def task_loss(net: nn.Module, batch: Batch) -> Tensor:
    """The loss of the task."""
    return nn.functional.cross_entropy(net(batch[0]), batch[1])


def sgd(parameters: Iterable[Any], rate: float) -> Optimizer:
    """SGD with momentum."""
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9)


class Module(LightningModule):
    """What most users write: a network, a loss, an optimizer.

    Args:
        net: the network; None builds one, from seed 0.
        optimizer: builds the optimizer from parameters and learning rate.
    """

    def __init__(
        self, net: nn.Module | None = None, optimizer: Callable[[Iterable[Any], float], Optimizer] = sgd
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net: Any = network() if net is None else net
        self.lr = RATE
        self.make_optimizer = optimizer

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        output: Tensor = self.net(images)
        return output

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss."""
        loss = task_loss(self, batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Log the loss."""
        self.log("val_loss", task_loss(self, batch), add_dataloader_idx=dataloader_idx > 0)

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Log the loss."""
        self.log("test_loss", task_loss(self, batch))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Classify."""
        labels: Tensor = self(batch[0]).argmax(1)
        return labels

    def configure_optimizers(self) -> Any:
        """Build the optimizer for what is trainable."""
        return self.make_optimizer((one for one in self.parameters() if one.requires_grad), self.lr)


def quiet(folder: Path, kind: Callable[..., Any] = Trainer, **settings: Any) -> Any:
    """A trainer for two epochs on one CPU that prints and saves nothing unless it is told to."""
    silent: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
    }
    silent |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1, "default_root_dir": folder}
    # A Trainer appends its own callbacks to the list that it is given.
    given = settings.get("callbacks") or []
    settings["callbacks"] = list(given) if isinstance(given, list) else given
    return kind(**silent | {"max_epochs": 2} | settings)
