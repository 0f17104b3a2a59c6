"""The pages that people read: their blocks of code, and a project of a user that the blocks import from."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch
from configured import ROOT
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

README = ROOT / "README.md"
PAGES = [README, *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def prose(page: Path) -> str:
    """The text without code, tables and pictures."""
    text = re.sub(r"```.*?```|<!--.*?-->|!\[.*?\]\(.*?\)", "", page.read_text(), flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def build_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))


class MyModule(L.LightningModule):
    def __init__(self, rate: float = 0.05) -> None:
        super().__init__()
        *body, self.head = build_network()
        self.body, self.rate = nn.Sequential(*body), rate

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(rows))

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


class MyData(L.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.randn(16, 4), torch.arange(16) % 2), batch_size=8)

    val_dataloader = train_dataloader


MY_PROJECT = SimpleNamespace(MyModule=MyModule, MyData=MyData, build_network=build_network)


class QuickTrainer(L.Trainer):
    """A trainer for a tenth of the epochs, without a word, that logs into the folder of the test."""

    def __init__(self, max_epochs: int = 10, **settings: Any) -> None:
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        super().__init__(max_epochs=max_epochs // 10, logger=CSVLogger("logs", None, ""), **quiet, **settings)


def shortened(block: str) -> str:
    """A block whose fine-tuning takes two epochs."""
    block = re.sub(r"finetune_epochs=\d+", "finetune_epochs=2", block)
    added = r"physics_pruning(finetune_epochs=2, "
    return block if "finetune_epochs" in block else re.sub(r"physics_pruning\((?=target=|force=)", added, block)
