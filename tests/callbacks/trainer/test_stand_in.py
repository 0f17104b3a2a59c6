"""What a step does to its trainer while it is run on a copy does not reach the real trainer."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from tiny import trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from physprune_pl import physics_pruning


class StopsAtNan(pl.LightningModule):
    """A module that takes all callbacks off its trainer when a value is not finite, as some frameworks do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        try:
            hidden = self.second(self.first(batch).relu())
            if not hidden.isfinite().all():
                raise ValueError("not finite")
            loss: Tensor = (self.head(hidden.relu())[:, 0] - batch.sum(1)).square().mean()
        except ValueError:
            self.trainer.callbacks.clear()  # type: ignore[attr-defined]
            raise
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def test_callbacks_survive_a_step_that_takes_them_off_its_trainer() -> None:
    callbacks = physics_pruning(target={"macs": 0.58}, finetune_epochs=1)
    trainer(*callbacks, epochs=3).fit(StopsAtNan(), DataLoader(torch.randn(64, 4), batch_size=8))
    assert callbacks[-1].report.macs["pruned"] < 0.7 * callbacks[-1].report.macs["dense"]  # type: ignore[attr-defined]
