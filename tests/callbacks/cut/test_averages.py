"""Averaged copies of the weights are cut by the same plan, and are what a fit judges, saves and ends with."""

import copy

import pytest
import torch
from safe_load import SAFE_LOAD
from small import Classifier, Saver, Zigzag, cutter, data, fit, trainer
from test_resume import assert_same, state_of

from physprune_pl.callbacks.trainer.internals import averaged_copies
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.replacement import shrink

averaging = pytest.importorskip(
    "lightning.pytorch.callbacks.weight_averaging", reason="this version of Lightning averages no weights"
)


class Ema(averaging.EMAWeightAveraging):
    """Remembers how its copy was before and after the cut, and at the end of every validation."""

    def __init__(self):
        super().__init__(decay=0.7)
        self.start, self.judged = [], []

    def weights(self):
        return copy.deepcopy(self._average_model.module.state_dict())

    def on_train_epoch_start(self, trainer, pl_module):
        self.start.append(self.weights())

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.start[-1] = self.start[-1], self.weights()

    def on_validation_end(self, trainer, pl_module):
        self.judged.append(self.weights())


def assert_equal(weights, others):
    assert weights.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize("first", [True, False])
def test_the_copy_is_cut_by_the_same_plan_and_goes_on(first):
    ema, cut = Ema(), cutter()
    model, runner = fit(*((ema, cut) if first else (cut, ema)))
    before, after = ema.start[2]
    tensors = cut.plan.tensors
    if first:  # else it looks when the cut is over
        assert_equal(
            after, {name: shrink(one, tensors[name].keep) if name in tensors else one for name, one in before.items()}
        )
    assert int(ema._average_model.n_averaged) == runner.global_step == 12
    assert_equal(model.state_dict(), ema.weights())
    assert averaged_copies(runner)[0].net[0].out_channels == model.net[0].out_channels < 8
    assert cut.report.metric["after_cut"] is not None


@pytest.mark.parametrize(("mode", "best"), [("min", -1), ("max", 2)])
@pytest.mark.parametrize("first", [True, False])
def test_the_averaged_weights_are_judged_and_kept(first, mode, best):
    ema, cut = Ema(), cutter(monitor="score", mode=mode)
    model, _ = fit(*((ema, cut) if first else (cut, ema)), model=Zigzag(), num_sanity_val_steps=0)
    # Two validations of the dense network, one right after the cut, two of fine-tuning; the score falls.
    assert_equal(model.state_dict(), ema.judged[best])


@pytest.mark.parametrize("first", [True, False])
def test_a_fit_with_averages_may_be_resumed_from_every_epoch(tmp_path, first):
    def run(folder, ckpt_path=None):
        folder.mkdir()
        torch.manual_seed(0)
        ema, cut, model = Ema(), cutter(), Classifier()
        callbacks = (ema, cut) if first else (cut, ema)
        runner = fit(*callbacks, Saver(folder), model=model, ckpt_path=ckpt_path)[1]
        averaged = dict(ema._average_model.state_dict())
        return {**state_of(model, runner, cut), "averaged": averaged}

    whole = run(tmp_path / "whole")
    for epoch in range(3):
        assert_same(whole, run(tmp_path / f"from{epoch}", tmp_path / "whole" / f"{epoch}.ckpt"), f"from {epoch}")


@pytest.mark.filterwarnings("ignore:You're using the WeightAveraging callback, but loading a checkpoint outside")
def test_files_of_any_width_are_tested_and_loaded(tmp_path):
    ema, cut = Ema(), cutter()
    model, runner = fit(ema, cut, Saver(tmp_path))
    small = model.net[0].out_channels
    loaded = load_pruned(Classifier(), tmp_path / "3.ckpt")
    assert_equal(loaded.state_dict(), model.state_dict())
    for epoch, width in ((1, 8), (3, small)):
        runner.test(model, data(), ckpt_path=tmp_path / f"{epoch}.ckpt", **SAFE_LOAD, verbose=False)
        assert model.net[0].out_channels == width
    trainer(Ema(), cutter()).test(
        fresh := Classifier(), data(), ckpt_path=tmp_path / "3.ckpt", **SAFE_LOAD, verbose=False
    )
    assert fresh.net[0].out_channels == small
