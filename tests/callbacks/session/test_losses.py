"""A loss that is not finite ends a fit, or is counted where a gradient scaler skips the step."""

from types import SimpleNamespace

import pytest
import torch
from small import Classifier, Saver, cutter, fit
from tiny import COEFFICIENT, Module, assert_one_penalty, precision
from tiny import fit as tiny_fit

from physprune_pl.callbacks import ForceRegularization, physics_pruning
from physprune_pl.callbacks.session.losses import LossWatch


class Failing(Classifier):
    """The loss, and with ``weights`` a whole layer, is not finite from one step on."""

    def __init__(self, step, value=float("nan"), weights=False):
        super().__init__()
        self.step, self.value, self.weights = step, value, weights

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.global_step < self.step:
            return loss
        if self.weights:
            self.net[0].weight.data.fill_(self.value)
        return loss * self.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("step", "epoch"), [(1, 0), (4, 1), (8, 2)])
def test_a_loss_that_is_not_finite_ends_the_fit_before_the_next_checkpoint(tmp_path, step, epoch, value):
    with pytest.raises(
        ValueError, match=f"epoch {epoch}, optimizer step {step}; the strengths of all groups are finite"
    ):
        fit(*physics_pruning(target={"macs": 0.5}, finetune_epochs=2), Saver(tmp_path), model=Failing(step, value))
    written = list(tmp_path.glob("*.ckpt"))
    assert len(written) == epoch
    for path in written:
        weights = torch.load(path, weights_only=True)["state_dict"]
        assert all(bool(value.isfinite().all()) for value in weights.values())


def test_groups_that_are_to_blame_are_named():
    with pytest.raises(ValueError, match=r"optimizer step 2; nor are the strengths of the groups net\.0"):
        fit(cutter(), model=Failing(2, weights=True))


def test_without_a_reading_in_between_the_first_bad_step_is_still_named(monkeypatch):
    monkeypatch.setattr(LossWatch, "note", _without_reading)
    with pytest.raises(ValueError, match="epoch 0, optimizer step 1"):
        fit(cutter(), model=Failing(1))


def _without_reading(self, trainer, session, loss, note=LossWatch.note):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossWatch, "_judge", lambda self, *_: None)
        note(self, trainer, session, loss)


def test_steps_that_a_scaler_skips_are_counted():
    trainer = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=object()), global_step=3, current_epoch=2)
    watch, session = LossWatch(), SimpleNamespace(ready=False)
    for value in (1.0, float("inf"), 2.0, float("nan")):
        watch.note(trainer, session, torch.tensor(value))
    with pytest.warns(UserWarning, match="epoch 2: the loss was not finite in 2 batches"):
        watch.end(trainer, session)
    watch.note(trainer, session, torch.tensor(1.0))
    watch.end(trainer, session)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_fit_with_a_scaler_skips_the_step_counts_it_and_pays_the_next_penalty_once():
    options, _, tolerance = precision("16-mixed")

    class Once(Module):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * float("inf") if self.seen == 3 else loss

    module = Once()
    with pytest.warns(UserWarning, match="epoch 0: the loss was not finite in 1 batches"):
        steps, _ = tiny_fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1, **options)
    bad = steps.pop(2)
    assert not all(bool(one.isfinite().all()) for one in bad["grad"].values())
    for name, value in bad["after"].items():
        assert torch.equal(value, bad["net"].state_dict()[name])
    assert_one_penalty(steps, tolerance, torch.float16)
