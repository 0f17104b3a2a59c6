"""When the force acts: along its schedule, in its phase, and never after a fit."""

import math

import pytest
import torch
from lightning.pytorch import Callback
from safe_load import SAFE_LOAD
from tiny import COEFFICIENT, Module, Recorder, assert_one_penalty, fit, loader, task_gradient, trainer

from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.schedules import Linear

pytestmark = pytest.mark.usefixtures("traced_by_hand")


def test_the_schedule_follows_the_share_of_the_phase_that_is_over():
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT, schedule="linear"), epochs=2)
    for done, step in enumerate(steps):
        assert_one_penalty([step], coefficient=COEFFICIENT * done / 10)


def test_max_steps_end_the_phase_too():
    force = ForceRegularization("exponential", COEFFICIENT, schedule="linear")
    steps, _ = fit(Module(), force, epochs=-1, max_steps=4)
    assert len(steps) == 4
    for done, step in enumerate(steps):
        assert_one_penalty([step], coefficient=COEFFICIENT * done / 4)


def test_nothing_is_written_before_a_schedule_starts():
    force = ForceRegularization("exponential", COEFFICIENT, schedule=Linear(start=0.5))
    steps, _ = fit(Module(), force, epochs=2)
    for step in steps[:5]:
        task = task_gradient(step)
        assert all(torch.equal(grad, task[name]) for name, grad in step["grad"].items())
    assert force.steps == 4  # at exactly one half the factor is still 0


def test_no_force_acts_in_the_finetune_phase():
    class Cut(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            force.session.record.phase = "finetune" if trainer.current_epoch else "sparsify"

    force = ForceRegularization("exponential", COEFFICIENT)
    steps, _ = fit(Module(), Cut(), force, epochs=2)
    assert_one_penalty(steps[:5])
    for step in steps[5:]:
        assert all(torch.equal(grad, task_gradient(step)[name]) for name, grad in step["grad"].items())


def test_a_schedule_needs_the_length_of_the_phase():
    with pytest.raises(ValueError, match="length of the phase"):
        fit(Module(), ForceRegularization("exponential", 1.0, schedule="linear"), epochs=-1)


def test_a_resumed_window_pays_whole(tmp_path):
    class SaveInTheMiddle(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 2:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    force = ForceRegularization("exponential", COEFFICIENT)
    fit(Module(), force, SaveInTheMiddle(), epochs=1, accumulate_grad_batches=4)
    recorder, again = Recorder(), ForceRegularization("exponential", COEFFICIENT)
    run = trainer(again, recorder, epochs=1, accumulate_grad_batches=4)
    run.fit(Module(), loader(), ckpt_path=tmp_path / "middle.ckpt", **SAFE_LOAD)
    assert [len(step["batches"]) for step in recorder.steps] == [1, 1]
    assert_one_penalty(recorder.steps)
    assert again.steps == force.steps + 1 == 3


def test_a_fit_that_failed_leaves_nothing_behind_for_the_next():
    force = ForceRegularization(lambda channels: channels.strength * math.nan, COEFFICIENT)
    for _ in range(2):
        module = Module()
        with pytest.raises(ValueError, match="finite"):
            fit(module, force)
        assert force.session.model is module.net


def test_references_are_dropped_after_the_fit():
    force = ForceRegularization("exponential", COEFFICIENT)
    fit(Module(), force, epochs=1)
    assert not force.session.ready
    assert force.state_dict() == {"steps": 5, "steering": None, "copies": {}, "excluded": {}, "waiting": {}}
