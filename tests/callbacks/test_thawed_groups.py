"""Layers that other callbacks thaw and add to an optimizer, through the cut and through a resume."""

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import BackboneFinetuning
from safe_load import SAFE_LOAD
from small import Saver, trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import physics_pruning
from physprune_pl.targets.target import TargetError

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
THAWED = 1


class Transfer(LightningModule):
    """A backbone, and a head on top of it; ``head_alone``: the optimizer is configured without the backbone."""

    def __init__(self, head_alone=False, plateau=False):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
        self.head_alone, self.plateau = head_alone, plateau

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        held = self.head.parameters() if self.head_alone else [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(held, 1e-2)
        if not self.plateau:
            return optimizer
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


class Thaws(Callback):
    """Thaws the backbone in one epoch and adds it to the optimizer, and keeps nothing in checkpoints."""

    def setup(self, trainer, pl_module, stage):
        pl_module.backbone.requires_grad_(False)

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == THAWED:
            pl_module.backbone.requires_grad_(True)
            group = {"params": list(pl_module.backbone.parameters()), "lr": 1e-3}
            trainer.optimizers[0].add_param_group(group)


class Look(Callback):
    """Groups, rates and weights at the end of every epoch."""

    def __init__(self):
        self.groups, self.rates, self.weights, self.frozen = {}, {}, {}, {}

    def on_train_epoch_end(self, trainer, pl_module):
        groups, epoch = trainer.optimizers[0].param_groups, trainer.current_epoch
        self.groups[epoch] = [len(group["params"]) for group in groups]
        self.rates[epoch] = [group["lr"] for group in groups]
        self.weights[epoch] = [one.detach().clone() for one in pl_module.parameters()]
        self.frozen[epoch] = not pl_module.backbone[0].weight.requires_grad


def batches():
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(2))
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), 16)


def lightnings():
    return BackboneFinetuning(THAWED, lambda epoch: 1.5, backbone_initial_lr=1e-3)


def fitted(folder, thaws, last=False, ckpt_path=None, share=0.9, finetune_lr=None, **kwargs):
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    model, look = Transfer(**kwargs), Look()
    pruning = physics_pruning(
        target={"macs": share}, finetune_epochs=3, finetune_lr=finetune_lr, example_input=torch.zeros(2, 8)
    )
    callbacks = [*pruning, thaws()] if last else [thaws(), *pruning]
    runner = trainer(look, *callbacks, Saver(folder), epochs=4, default_root_dir=folder)
    runner.fit(model, batches(), batches(), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    return look, pruning[-1]


@pytest.mark.parametrize("head_alone", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("thaws", [Thaws, lightnings])
def test_a_thawed_backbone_is_a_group_of_its_own_after_the_cut_and_after_a_resume(tmp_path, thaws, last, head_alone):
    whole, cut = fitted(tmp_path / "whole", thaws, last, head_alone=head_alone)
    assert [whole.groups[epoch] for epoch in range(7)] == [[4], *[[4, 4]] * 6]
    assert "backbone.0" in [group["name"] for group in cut.report.groups]
    # In the thawed phase, and in fine-tuning.
    for epoch in (2, 5):
        again, _ = fitted(tmp_path / "again", thaws, last, tmp_path / "whole" / f"{epoch}.ckpt", head_alone=head_alone)
        assert not any(again.frozen.values())
        for after in range(epoch + 1, 7):
            assert again.groups[after] == whole.groups[after]
            assert again.rates[after] == whole.rates[after]
            assert all(torch.equal(*pair) for pair in zip(again.weights[after], whole.weights[after], strict=True))


@pytest.mark.parametrize(("given", "expected"), [(None, [1e-3, 1e-4]), (5e-4, [5e-4, 5e-4])])
def test_a_group_that_was_added_has_its_own_rate_of_fine_tuning(tmp_path, given, expected):
    look, _ = fitted(tmp_path, Thaws, finetune_lr=given)
    assert look.rates[3] == pytest.approx([1e-2, 1e-3])
    assert look.rates[4] == pytest.approx(expected)


def test_a_rate_that_a_callback_sets_is_its_own_affair(tmp_path):
    look, _ = fitted(tmp_path, lightnings)
    # It grows by one half each epoch, up to the rate of the head; the cut takes a tenth of what it is then.
    expected = [1e-3, 1.5e-3, 2.25e-3, 3.375e-4, 1e-3, 1e-3]
    assert [look.rates[epoch][1] for epoch in range(1, 7)] == pytest.approx(expected)


def test_a_scheduler_that_was_made_before_the_group_was_added_goes_on(tmp_path):
    look, _ = fitted(tmp_path, Thaws, plateau=True)
    assert all(torch.tensor(look.rates[epoch]).isfinite().all() for epoch in range(7))
    assert look.rates[6][0] <= look.rates[4][0] == pytest.approx(1e-3)


def test_moments_of_a_thawed_backbone_are_carried(tmp_path):
    fitted(tmp_path, Thaws)
    before, after = (torch.load(tmp_path / f"{epoch}.ckpt", weights_only=True) for epoch in (3, 4))
    steps = [[float(one["step"]) for one in file["optimizer_states"][0]["state"].values()] for file in (before, after)]
    assert steps == [[16.0] * 4 + [12.0] * 4, [20.0] * 4 + [16.0] * 4]


def test_a_target_that_needs_what_is_frozen_names_it_before_training(tmp_path):
    frozen = r"backbone\.0: all parameters that produce its channels are frozen; backbone\.2"
    with pytest.raises(TargetError, match=rf"cannot be met.*not pruned as long as nothing trains them: {frozen}"):
        fitted(tmp_path, Thaws, share=0.4)


def test_groups_that_thaw_are_pressed_and_cut(tmp_path):
    _, cut = fitted(tmp_path, Thaws)
    names = [group["name"] for group in cut.report.groups]
    assert {"backbone.0", "backbone.2", "head.0"} <= set(names)
    assert not [left for left in cut.report.left_whole if left["name"].startswith("backbone")]
