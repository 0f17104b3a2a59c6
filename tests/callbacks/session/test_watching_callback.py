"""Parameters that only a step uses keep what they read whole; frozen groups are outside a steered force."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import physics_pruning
from physprune_pl.probing.calls.step_recorder import StepRecorder

INPUTS, LABELS = torch.randn(32, 6, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 3


class TwoHeads(L.LightningModule):
    """The second head is used by the training step alone; ``forward`` never reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 16)
        self.head, self.extra = nn.Linear(16, 3), nn.Linear(16, 3)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = self.first(x).relu()
        return early, self.second(early).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[1])

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        early, late = self.features(batch[0])
        scores = self.head(late) + self.extra(early)
        return nn.functional.cross_entropy(scores, batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


class ValidationHead(TwoHeads):
    """The second head is used by the validation step alone."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/size", self.extra(self.features(batch[0])[0]).abs().mean())


class ValidationScores(ValidationHead):
    """What validation takes for scores goes on to another layer in training."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.mse_loss(self.extra(self.features(batch[0])[1]), batch[0][:, :3])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self.first(batch[0]), batch[1]))


EXAMPLE = torch.zeros(2, 6)


def fit(
    module: L.LightningModule, folder: Path, force: str | None = "uniform", share: float = 0.72, example: Any = EXAMPLE
) -> L.Callback:
    callbacks = physics_pruning(force, target={"params": share}, finetune_epochs=1, example_input=example)
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=8)
    trainer = L.Trainer(
        max_epochs=6, callbacks=callbacks, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(module, loader, loader if isinstance(module, ValidationHead) else None)
    return callbacks[-1]


@pytest.mark.parametrize("force", ["uniform", None])
@pytest.mark.parametrize("kind", [TwoHeads, ValidationHead])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*log_every_n_steps")
def test_what_only_a_step_reads_stays_whole_and_is_named(
    kind: type[TwoHeads], force: str | None, tmp_path: Path
) -> None:
    module = kind()
    with pytest.warns(UserWarning, match=r"first is not pruned: extra\.weight reads its channels in a step"):
        cut = fit(module, tmp_path, force)
    assert module.first.out_features == 16
    assert module.extra.in_features == 16
    assert module.second.out_features < 16
    assert "first" in {left.name for left in cut.plan.left_whole}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*log_every_n_steps")
def test_a_frozen_group_is_outside_a_steered_force(tmp_path: Path) -> None:
    module = TwoHeads()
    module.extra = nn.Identity()
    module.training_step = ValidationHead.training_step.__get__(module)
    module.first.requires_grad_(False)
    before = module.first.weight.clone()
    cut = fit(module, tmp_path, share=0.68)
    assert torch.equal(module.first.weight, before)
    assert not module.first.weight.requires_grad
    assert module.second.out_features < 16
    assert "frozen" in next(left.reason for left in cut.plan.left_whole if left.name == "first")


def test_origins_start_anew_at_a_weight_and_pass_through_everything_else() -> None:
    one, two, other = nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(11, 2)
    names = {id(layer.weight): name for name, layer in (("one", one), ("two", two), ("other", other))}
    with StepRecorder(names, {"one", "two"}) as recorder:
        early = one(torch.zeros(2, 4)).relu()
        other(torch.cat([early * 2, two(early)], 1))
    assert recorder.unseen == {"other": {"one", "two"}}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*log_every_n_steps")
def test_what_validation_compares_with_data_stays_whole(tmp_path: Path) -> None:
    module = ValidationScores()
    reason = r"first is not pruned: cross_entropy compares its channels with data in a step"
    with pytest.warns(UserWarning, match=reason):
        fit(module, tmp_path, example=None)
    assert module.first.out_features == 16
    assert module.second.out_features < 16


def test_a_loss_between_two_parts_compares_with_no_data() -> None:
    one, two = nn.Linear(4, 5), nn.Linear(4, 5)
    names = {id(one.weight): "one", id(two.weight): "two"}
    with StepRecorder(names, {"one", "two"}) as recorder:
        nn.functional.mse_loss(one(torch.zeros(2, 4)), two(torch.zeros(2, 4)).detach())
        nn.functional.mse_loss(one(torch.zeros(2, 4)), torch.zeros(2, 5))
    assert recorder.compared == {"mse_loss": {"one"}}


class LateHead(TwoHeads):
    """The second head is used from the third step on."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.global_step < 2:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])
        return super().training_step(batch, batch_idx)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*log_every_n_steps")
def test_what_a_later_step_reaches_first_is_found(tmp_path: Path) -> None:
    module = LateHead()
    with pytest.warns(UserWarning, match=r"first is not pruned: extra\.weight reads its channels in a step"):
        fit(module, tmp_path, example=None)
    assert module.first.out_features == module.extra.in_features == 16
    assert module.second.out_features < 16


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*log_every_n_steps")
def test_what_the_recorded_step_reads_is_cut_with_the_rest(tmp_path: Path) -> None:
    module = TwoHeads()
    cut = fit(module, tmp_path, share=0.5, example=None)
    assert module.first.out_features == module.extra.in_features < 16
    assert {left.name for left in cut.plan.left_whole} == {"head", "extra"}
