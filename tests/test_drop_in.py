"""README's three lines on modules that know nothing of pruning."""

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.demos import LightningTransformer
from lightning.pytorch.demos.boring_classes import BoringModel
from pages import README, blocks
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import ChannelTracker, PruningReport, physics_pruning
from physprune_pl.networks.measure import count_macs, count_parameters

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:The number of training batches", "ignore:.*no `val_dataloader`"
)


class UserModule(L.LightningModule):
    """Its own loss, optimizer and schedule by step; no example input."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.head = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.02)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class UserData(L.LightningDataModule):
    """Thirty-two pictures; the class is the brightness."""

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        labels = torch.arange(32) % 2
        noise = torch.randn(32, 1, 6, 6, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(noise + labels[:, None, None, None], labels), batch_size=16)

    val_dataloader = train_dataloader


def quiet_trainer(tmp_path: Path, **settings: object) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    return L.Trainer(default_root_dir=tmp_path, enable_model_summary=False, **quiet, **settings)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec")
def test_the_three_lines_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = UserModule()
    monkeypatch.setitem(sys.modules, "my_project", SimpleNamespace(MyModule=lambda: model, MyData=UserData))
    # A trainer as it comes, with a progress bar, a summary and checkpoints of its own.
    plain = partial(L.Trainer, default_root_dir=tmp_path, accelerator="cpu", logger=False)
    monkeypatch.setattr(L, "Trainer", plain)
    dense = count_macs(model, torch.zeros(1, 1, 6, 6))
    names: dict[str, object] = {}
    exec(blocks(README, "python")[0], names)
    report = names["pruning"].report  # type: ignore[attr-defined]
    assert report.macs["dense"] == dense
    assert report.macs["pruned"] == count_macs(model, torch.zeros(1, 1, 6, 6))
    assert abs(report.macs["pruned"] / dense - 0.4) <= 0.02 * 0.4 + 0.05
    assert names["trainer"].current_epoch == 80  # type: ignore[attr-defined]
    assert PruningReport.from_json(report.to_json()) == report
    assert "MACs" in report.table()


def test_a_transformer_that_lightning_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would download its text; random tokens do.
    monkeypatch.setattr(LightningTransformer, "prepare_data", lambda self: None)
    model = LightningTransformer(vocab_size=20)
    tokens = torch.randint(20, (8, 9), generator=torch.Generator().manual_seed(0))
    data = DataLoader(TensorDataset(tokens[:, :-1], tokens[:, 1:]), batch_size=4)
    before = count_parameters(model)
    callbacks = physics_pruning(target={"params": 0.9}, finetune_epochs=1)
    quiet_trainer(tmp_path, max_epochs=2, callbacks=callbacks).fit(model, data)
    report = callbacks[-1].report
    assert report.params == {"dense": before, "pruned": count_parameters(model)}
    assert abs(report.params["pruned"] / before - 0.9) <= 0.02 * 0.9
    assert any("attn" in part["name"] for part in report.left_whole)


def test_a_network_of_one_layer_has_nothing_to_prune(tmp_path: Path) -> None:
    callbacks = physics_pruning(target={"macs": 0.5}, finetune_epochs=1)
    with pytest.raises(ValueError, match=r"no channel of .* can be removed"):
        quiet_trainer(tmp_path, max_epochs=1, callbacks=callbacks).fit(BoringModel())


def test_watching_alone_changes_nothing(tmp_path: Path) -> None:
    def weights(callbacks: list[L.Callback]) -> torch.Tensor:
        torch.manual_seed(0)
        model = UserModule()
        quiet_trainer(tmp_path, max_epochs=2, callbacks=callbacks).fit(model, datamodule=UserData())
        return nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(weights([]), weights([ChannelTracker()]))
