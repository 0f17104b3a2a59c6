"""A target that is out of reach because of what nothing trains: the error says how much that is, and what to do."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import physics_pruning
from physprune_pl.targets.target import TargetError

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


class FrozenBackbone(LightningModule):
    """77 % of its 502 parameters are frozen."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)).requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.head(self.net(x))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.head.parameters(), 1e-3)


def fit(**kwargs):
    callbacks = physics_pruning(finetune_epochs=1, **kwargs)
    data = DataLoader(TensorDataset(torch.randn(96, 8), torch.arange(96) % 3), 32)
    Trainer(max_epochs=2, callbacks=callbacks, accelerator="cpu", **QUIET, log_every_n_steps=1).fit(
        FrozenBackbone(), data
    )
    return callbacks.report


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"params": 0.5}, "77% of the parameters belong to .* frozen.* or ask for 0.5 of the rest: params=0.885, or"),
        ({"macs": 0.3}, "79% of the MACs belong to .* frozen.* or ask for 0.3 of the rest: macs=0.85, or prune the"),
    ],
)
def test_the_error_names_the_frozen_share_and_the_ways_round(target, said):
    with pytest.raises(TargetError, match=f"{said}.*module='head'"):
        fit(target=target)


@pytest.mark.parametrize("asked", [{"target": {"params": 0.885}}, {"target": {"params": 0.51}, "module": "head"}])
def test_the_ways_round_are_ways(asked):
    report = fit(**asked)
    kept = report.params["pruned"] / report.params["dense"]
    assert kept == pytest.approx(asked["target"]["params"], abs=0.02)


def test_a_target_that_is_out_of_reach_for_other_reasons_blames_nothing_frozen():
    with pytest.raises(TargetError) as raised:
        fit(target={"params": 0.01}, module="head")
    assert "frozen" not in str(raised.value)
