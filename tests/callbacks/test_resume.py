"""A fit that was interrupted goes on as if nothing had happened, and files of any width load."""

import copy

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    EarlyStopping,
)
from safe_load import SAFE_LOAD
from small import Classifier, Saver, Widths, Zigzag, adamw_cosine, cutter, data, fit, net, one_cycle, trainer
from torch import nn

from physprune_pl import physics_pruning
from physprune_pl.surgery.loading import load_pruned

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def state_of(model, runner, *callbacks):
    """All there is after a fit, without times and paths."""
    (optimizer,), schedulers = runner.optimizers, runner.lr_scheduler_configs
    states = {callback.state_key: callback.state_dict() for callback in callbacks}
    for state in states.values():
        for name in ("seconds", "epoch_seconds", "peak_memory_bytes", "latency_ms"):
            state.pop(name, None)
    loops = {name: value for name, value in runner.fit_loop.state_dict().items() if "val_loop" not in name}
    return {
        "weights": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedulers": [config.scheduler.state_dict() for config in schedulers],
        "callbacks": states,
        "epoch": runner.current_epoch,
        "step": runner.global_step,
        "loops": loops,
    }


def assert_same(one, other, path=""):
    if isinstance(one, dict):
        assert set(one) == set(other), path
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{path}/{place}")
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, msg=path)
    else:
        assert one == other or callable(one), (path, one, other)


@pytest.mark.parametrize(("make", "monitor"), [(one_cycle, "score"), (adamw_cosine, None)])
def test_a_fit_may_be_resumed_from_every_epoch(tmp_path, make, monitor):
    def run(folder, model, ckpt_path=None):
        folder.mkdir()
        cut = cutter(monitor=monitor, mode=monitor and "max")
        callbacks = cut, EarlyStopping("val_loss", patience=99)
        runner = fit(*callbacks, Saver(folder), model=model, ckpt_path=ckpt_path)[1]
        return cut, state_of(model, runner, *callbacks)

    start = Zigzag(make)
    initial = copy.deepcopy(start.state_dict())
    cut, whole = run(tmp_path / "whole", start)
    for epoch in range(4):
        model = Zigzag(make)
        model.load_state_dict(initial)
        again, resumed = run(tmp_path / f"from{epoch}", model, tmp_path / "whole" / f"{epoch}.ckpt")
        if epoch == 3:
            # Nothing is left to run: Lightning does not count this epoch as completed.
            assert resumed.pop("loops") != whole.pop("loops")
        assert_same(whole, resumed, f"from {epoch}")
        assert again.report.metric == cut.report.metric
        assert again.report.groups == cut.report.groups


def test_a_finished_phase_without_fine_tuning_is_cut_on_resume(tmp_path):
    dense, _ = fit(Saver(tmp_path))
    cut = cutter(finetune_epochs=0)
    model, _ = fit(cut, ckpt_path=tmp_path / "1.ckpt")
    assert model.net[0].out_channels < dense.net[0].out_channels
    assert cut.report.macs["pruned"] < cut.report.macs["dense"]


def test_a_longer_first_phase_on_resume(tmp_path):
    fit(cutter(), Saver(tmp_path))
    widths = Widths()
    fit(cutter(), widths, epochs=3, ckpt_path=tmp_path / "1.ckpt")
    assert widths.seen["start"][0] == 8
    assert len(widths.seen["start"]) == 3
    assert widths.seen["start"][1] < 8


def test_an_interrupted_fit_goes_on_with_the_same_objects(tmp_path):
    class Stop(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                raise RuntimeError("power cut")

    cut, widths, stop = cutter(), Widths(), Stop()
    model, runner = Classifier(), trainer(cut, widths, stop, Saver(tmp_path))
    with pytest.raises(RuntimeError, match="power cut"):
        runner.fit(model, data(), data())
    runner.callbacks.remove(stop)
    runner.fit(model, data(), data(), ckpt_path=tmp_path / "1.ckpt", **SAFE_LOAD)
    assert [width == 8 for width in widths.seen["end"]] == [True, True, False, False, False]
    assert cut.report is not None


def test_test_loads_files_from_before_and_after_the_cut(tmp_path):
    cut = cutter()
    model, runner = fit(cut, Saver(tmp_path))
    small, report = model.net[0].out_channels, cut.report
    for epoch, width in ((1, 8), (3, small), (0, 8)):
        runner.test(model, data(), ckpt_path=tmp_path / f"{epoch}.ckpt", **SAFE_LOAD, verbose=False)
        assert model.net[0].out_channels == model.net[1].num_features == width
    assert cut.report is report
    assert cut.record.phase == "finetune"
    fresh = Classifier()
    trainer(cutter()).test(fresh, data(), ckpt_path=tmp_path / "3.ckpt", **SAFE_LOAD, verbose=False)
    assert fresh.net[0].out_channels == small


def test_the_hook_is_gone_after_the_fit():
    model, _ = fit(cutter())
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(Classifier().state_dict())


@pytest.mark.filterwarnings("ignore:the cut has removed no channel")
def test_shapes_that_no_plan_explains_are_refused(tmp_path):
    wide = Classifier(network=lambda: nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), *net()[2:3], *net()[6:]))
    wide.net[-1] = nn.Linear(9, 2)
    fit(cutter(target={"threshold": 1e-6}), Saver(tmp_path), model=wide, epochs=1)
    narrow = Classifier(network=lambda: nn.Sequential(nn.Conv2d(1, 7, 3), nn.BatchNorm2d(7), *net()[2:3], *net()[6:]))
    narrow.net[-1] = nn.Linear(7, 2)
    with pytest.raises(ValueError, match="no pruning plan in it explains"):
        fit(cutter(target={"threshold": 1e-6}), model=narrow, ckpt_path=tmp_path / "0.ckpt")


def test_load_pruned_reads_the_checkpoints_of_a_fit(tmp_path):
    model, _ = fit(cutter(), Saver(tmp_path))
    images = torch.randn(4, 1, 6, 6)
    saved = torch.load(tmp_path / "3.ckpt", weights_only=True)["state_dict"]
    for loaded in (load_pruned(Classifier(), tmp_path / "3.ckpt"), load_pruned(net(), tmp_path / "3.ckpt")):
        model.load_state_dict(saved)
        torch.testing.assert_close(loaded.eval()(images), model.eval()(images))
    assert load_pruned(net(), tmp_path / "1.ckpt")[0].out_channels == 8


@pytest.mark.parametrize("example", [True, False])
def test_a_file_of_a_fit_resumed_after_its_cut_holds_what_that_of_the_whole_fit_holds(tmp_path, example):
    def run(folder, ckpt_path=None):
        callbacks = physics_pruning("uniform", target={"macs": 0.5}, finetune_epochs=2)
        fit(*callbacks, Saver(folder), model=Classifier(example=example), ckpt_path=ckpt_path)
        states = torch.load(folder / "3.ckpt", weights_only=True)["callbacks"]
        return next(state for key, state in states.items() if key.startswith("ForceRegularization"))

    whole = run(tmp_path / "whole")
    assert whole["steering"]
    assert_same(whole, run(tmp_path / "again", tmp_path / "whole" / "2.ckpt"))
