"""Fits limited by steps or time: the limits end the sparsify phase, and fine-tuning has its own share."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.callbacks import timer as timer_module
from small import Classifier, Saver, adamw_cosine, cutter, fit, one_cycle
from test_resume import assert_same, state_of

from physprune_pl import physics_pruning

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    # Lightning's, of every resumed fit whose number of steps is no multiple of the batches of an epoch.
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch"),
]


class Steps(Callback):
    """Optimizer steps before and after the cut, validations of the phase, and batches of every epoch."""

    def __init__(self):
        self.cut_at, self.batches, self.validated = None, [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.cut_at is None and pl_module.net[0].out_channels < 8:
            self.cut_at = trainer.global_step

    def on_train_epoch_end(self, trainer, pl_module):
        self.batches.append(trainer.fit_loop.batch_idx + 1)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.validated.append(trainer.global_step)


# An epoch has three batches.
@pytest.mark.parametrize(
    ("limits", "cut_at", "batches"),
    [
        ({"epochs": -1, "max_steps": 4}, 4, [3, 1, 3, 3]),
        ({"epochs": -1, "max_steps": 6}, 6, [3, 3, 3, 3]),
        ({"epochs": 5, "max_steps": 2}, 2, [2, 3, 3]),
        ({"epochs": 1, "max_steps": 99}, 3, [3, 3, 3]),
        ({"epochs": -1, "max_steps": 3, "accumulate_grad_batches": 2}, 3, [3, 2, 3, 3]),
        ({"epochs": -1, "max_steps": 0}, 0, [3, 3]),
        ({"epochs": -1, "max_steps": 2, "limit_train_batches": 1}, 2, [1, 1, 1, 1]),
    ],
)
def test_max_steps_end_the_phase_and_fine_tuning_has_all_its_epochs(limits, cut_at, batches):
    steps, cut = Steps(), cutter()
    _, runner = fit(cut, steps, **limits)
    assert steps.cut_at == cut_at
    assert steps.batches == batches
    assert (runner.max_epochs, runner.max_steps) == (limits["epochs"], limits["max_steps"])
    assert cut.report.metric["after_sparsify"] is not None
    assert cut_at in steps.validated


def test_without_fine_tuning_the_cut_comes_after_the_last_step():
    steps, cut = Steps(), cutter(finetune_epochs=0)
    model, runner = fit(cut, steps, epochs=-1, max_steps=4)
    assert runner.global_step == 4
    assert model.net[0].out_channels < 8
    assert cut.report is not None


def test_schedulers_count_the_steps_of_their_phase():
    totals = []

    def cycle(parameters, trainer):
        totals.append(trainer.estimated_stepping_batches)
        return one_cycle(parameters, trainer)

    fit(cutter(), model=Classifier(cycle), epochs=-1, max_steps=4)
    assert totals == [4, 6]


def test_steering_knows_how_far_it_has_come(tmp_path):
    pruning = physics_pruning("uniform", target={"macs": 0.5}, finetune_epochs=1)
    shares = []

    class Look(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            session = pruning[-1].session
            shares.append((session.phase, session.progress(trainer)))

    fit(Look(), *pruning, epochs=-1, max_steps=4, default_root_dir=tmp_path)
    assert shares[:4] == [("sparsify", share) for share in (0.25, 0.5, 0.75, 1.0)]
    assert [phase for phase, _ in shares[4:]] == ["finetune"] * 3


@pytest.mark.parametrize("make", [one_cycle, adamw_cosine])
def test_a_fit_limited_by_steps_may_be_resumed_from_every_epoch(tmp_path, make):
    def run(folder, model, ckpt_path=None):
        folder.mkdir()
        cut = cutter()
        runner = fit(cut, Saver(folder), model=model, ckpt_path=ckpt_path, epochs=7, max_steps=4)[1]
        return state_of(model, runner, cut)

    def fresh():
        torch.manual_seed(0)
        return Classifier(make)

    whole = run(tmp_path / "whole", fresh())
    for epoch in range(4):
        resumed = run(tmp_path / f"from{epoch}", fresh(), tmp_path / "whole" / f"{epoch}.ckpt")
        if epoch == 3:
            # Nothing is left to run: Lightning does not count this epoch as completed.
            assert resumed.pop("loops") != whole.pop("loops")
        assert_same(whole, resumed, f"from {epoch}")


def test_a_fit_without_a_length_is_refused():
    with pytest.raises(ValueError, match="max_time alone does not say"):
        fit(cutter(), epochs=None, max_time="00:01:00:00")


@pytest.fixture
def clock(monkeypatch):
    """A clock for Timer that strikes once a batch."""

    class Clock(Callback):
        now = 0

        def monotonic(self):
            return self.now

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.now += 1

    found = Clock()
    monkeypatch.setattr(timer_module, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


# Twenty batches of time; epochs of three batches.
@pytest.mark.parametrize(
    ("limits", "finetune", "batches"),
    [
        # Three quarters of the time for 6 of 8 epochs: 15 batches, then 5 more.
        ({"epochs": 6}, 2, [3, 3, 3, 3, 3, 3, 2]),
        # Two thirds for 12 steps, which are four epochs: in time, and fine-tuning may use what is left.
        ({"epochs": -1, "max_steps": 12}, 2, [3, 3, 3, 3, 3, 3]),
        # Half of it, for half of the epochs.
        ({"epochs": 99}, 99, [3, 3, 3, 3, 3, 3, 2]),
        # All of it, without fine-tuning.
        ({"epochs": 9}, 0, [3, 3, 3, 3, 3, 3, 2]),
    ],
)
def test_max_time_is_shared(clock, limits, finetune, batches):
    timer, steps = Timer(timedelta(seconds=20), verbose=False), Steps()
    cut = cutter(finetune_epochs=finetune)
    model, _ = fit(clock, timer, steps, cut, **limits)
    assert steps.batches == batches
    assert model.net[0].out_channels < 8
    assert cut.report is not None
    assert timer.time_remaining() == 20 - clock.now
