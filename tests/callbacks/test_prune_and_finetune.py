"""One fit: epochs under force, the cut, fine-tuning; what is reported, and what is refused."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from small import Classifier, Widths, Zigzag, cutter, data, fit, net, trainer
from torch import nn

from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.refusals import check_trainer
from physprune_pl.reports.report import PruningReport
from physprune_pl.targets.target import Target, TargetError

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


# The phases


def test_cuts_after_max_epochs_and_goes_on_in_the_same_fit():
    cut, widths = cutter(), Widths()
    model, runner = fit(cut, widths)
    small = model.net[0].out_channels
    assert widths.seen["start"] == [8, 8, small, small]
    assert widths.seen["end"] == [8, 8, small, small]
    assert small < 8
    assert runner.current_epoch == 4
    assert runner.max_epochs == 2
    assert model.configured == [2, 2]


def test_report():
    cut = cutter(monitor="val_loss", mode="min")
    model, _ = fit(cut)
    report = cut.report
    assert isinstance(report, PruningReport)
    assert abs(report.macs["pruned"] / report.macs["dense"] - 0.5) < 0.02
    assert report.params["pruned"] == sum(parameter.numel() for parameter in model.parameters())
    assert report.metric["name"] == "val_loss"
    assert all(report.metric[moment] > 0 for moment in ("after_sparsify", "after_cut", "after_finetune"))
    assert report.metric["dense"] is None
    assert set(report.seconds) == {"trace", "sparsify", "cut", "timing", "finetune"}
    assert [group["name"] for group in report.groups] == ["net.0", "net.3"]
    assert report.left_whole[0]["name"] == "net.8"
    assert report.not_arrived == []


def test_a_trained_network_is_pruned_at_once():
    model, _ = fit(epochs=2)
    trained = copy.deepcopy(model.state_dict())
    cut, widths = cutter(), Widths()
    fit(cut, widths, model=model, epochs=0)
    assert widths.seen["start"] == [model.net[0].out_channels] * 2
    assert model.net[0].out_channels < trained["net.0.weight"].shape[0]
    assert cut.report.metric["dense"] == cut.report.metric["after_sparsify"] is not None


def test_without_fine_tuning_the_cut_comes_last():
    cut, widths = cutter(finetune_epochs=0), Widths()
    model, runner = fit(cut, widths)
    assert widths.seen["end"] == [8, 8]
    assert model.net[0].out_channels < 8
    assert runner.current_epoch == 2
    assert cut.report.metric["after_cut"] is not None
    assert cut.report.metric["after_finetune"] is None


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_without_validation():
    cut = cutter()
    model, runner = Classifier(), trainer(cut)
    runner.fit(model, data())
    assert model.net[0].out_channels < 8
    assert cut.report.metric["after_cut"] is None


def test_the_first_batch_is_the_example_when_there_is_no_other():
    for epochs in (0, 1):
        model, _ = fit(cutter(), model=Classifier(example=False), epochs=epochs)
        assert model.net[0].out_channels < 8


def test_fast_dev_run():
    model, runner = Classifier(), trainer(cut := cutter(finetune_epochs=9), fast_dev_run=True)
    runner.fit(model, data(), data())
    assert model.net[0].out_channels < 8
    assert runner.current_epoch == 2
    assert cut.report is not None


def test_the_network_may_be_a_part_of_the_module():
    cut = cutter(session=PruningSession("net", torch.zeros(1, 1, 6, 6), target=Target("macs", 0.5)))
    model, _ = fit(cut)
    assert cut.record.prefix == "net."
    assert model.net[0].out_channels < 8


def test_a_frozen_group_is_judged_by_its_weights_like_any_other():
    plans = []
    for freezes in (False, True):
        torch.manual_seed(0)
        model = Classifier()
        for part in (model.net[0], model.net[1], model.net[3]) if freezes else ():
            part.requires_grad_(False)
        cut = cutter()
        fit(cut, model=model, epochs=0)
        plans.append(cut.plan)
    assert plans[0] == plans[1]


def test_compiled_network():
    cut = cutter(session=PruningSession("net", torch.zeros(1, 1, 6, 6), target=Target("macs", 0.5)))
    model, _ = fit(cut, model=Classifier(network=lambda: torch.compile(net(), backend="eager")))
    assert model.net._orig_mod[0].out_channels < 8
    assert cut.report.metric["after_finetune"] is not None


@pytest.mark.slow
def test_two_processes_cut_alike(tmp_path):
    script = Path(__file__).with_name("two_processes.py")
    places = [str(script.parents[2]), str(script.parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, str(script), str(tmp_path)]
    subprocess.run(command, check=True, timeout=120, capture_output=True, env=environment)
    (weights, widths, metrics), (others, _, other_metrics) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(one, other) for one, other in zip(weights, others, strict=True))
    assert metrics == other_metrics
    assert widths[:2] == [8, 8]
    assert widths[2] == widths[3] < 8


# Best weights


@pytest.mark.parametrize(("mode", "best", "score"), [("max", "cut", -2.0), ("min", 4, -4.0)])
def test_the_best_weights_since_the_cut_are_put_back(mode, best, score):
    weights = {}

    class Keep(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                weights["cut"] = copy.deepcopy(pl_module.state_dict())

        def on_validation_end(self, trainer, pl_module):
            weights[trainer.current_epoch] = copy.deepcopy(pl_module.state_dict())

    cut = cutter(monitor="score", mode=mode, finetune_epochs=3)
    model, _ = fit(cut, Keep(), model=Zigzag())
    assert cut.report.metric["after_finetune"] == score
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[best][name])
    assert not torch.equal(model.net[0].weight, weights[3]["net.0.weight"])


def test_without_a_monitor_the_last_weights_stay():
    cut = cutter(finetune_epochs=3)
    fit(cut, model=Zigzag())
    assert cut.record.best is None
    assert cut.report.metric["name"] == "score"
    assert cut.report.metric["after_finetune"] == -4.0


def test_the_monitor_of_the_first_checkpoint_is_taken(tmp_path):
    cut = cutter(finetune_epochs=2)
    fit(cut, ModelCheckpoint(tmp_path, monitor="score", mode="max"), model=Zigzag())
    assert cut.record.best.score == cut.report.metric["after_finetune"] == -2.0


def test_a_training_metric_may_be_the_monitor():
    cut = cutter(monitor="train_loss", mode="min")
    fit(cut)
    assert cut.record.best is not None


# Preview, refusals


def test_preview():
    text = cutter().preview(Classifier())
    groups = [line.split() for line in text.splitlines()]
    assert ["net.0", "8", "yes"] in [row[:3] for row in groups]
    assert "In reach" in text
    assert "2 epochs of fine-tuning" in text
    assert "Out of reach" in cutter(round_to=8).preview(net(), torch.zeros(1, 1, 6, 6))
    with pytest.raises(ValueError, match="example_input"):
        cutter().preview(net())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": {"macs": 2.0}}, "target"),
        ({"finetune_epochs": -1}, "finetune_epochs"),
        ({"finetune_epochs": 1.5}, "finetune_epochs"),
        ({"finetune_lr": 0.0}, "finetune_lr"),
        ({"finetune_lr": float("nan")}, "finetune_lr"),
        ({"finetune_lr": True}, "finetune_lr"),
        ({"monitor": "val_loss"}, "mode"),
        ({"mode": "min"}, "mode"),
        ({"monitor": "val_loss", "mode": "best"}, "mode"),
        ({"session": PruningSession(target=Target("params", 0.5))}, "target: expected one for the force and the cut"),
    ],
)
def test_arguments_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        cutter(**wrong)


def frozen():
    model = Classifier(lambda parameters, trainer: None)
    return model.requires_grad_(False)


def lbfgs(parameters, trainer):
    return torch.optim.LBFGS(parameters, lr=0.1)


@pytest.mark.parametrize(
    ("model", "cut", "limits", "message"),
    [
        (Classifier, cutter, {"epochs": -1}, "max_epochs"),
        (Classifier, lambda: cutter(finetune_epochs=0), {"epochs": 0}, "max_epochs"),
        (lambda: Classifier(lbfgs), cutter, {}, "LBFGS"),
        (frozen, cutter, {}, "frozen"),
        (lambda: Classifier(network=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 2))), cutter, {}, "no channel"),
        (Classifier, lambda: cutter(round_to=8), {}, "closest"),
        (Classifier, lambda: cutter(monitor="nothing", mode="min"), {}, "monitor"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*configure_optimizers. returned .None.")
@pytest.mark.filterwarnings("ignore:monitor. expected one of the logged metrics")
def test_fits_that_cannot_work_are_refused(model, cut, limits, message):
    with pytest.raises(ValueError, match=message):
        fit(cut(), model=model(), **limits)


def test_spawned_processes_are_refused():
    with pytest.raises(ValueError, match="strategy"):
        check_trainer(trainer(devices=2, strategy="ddp_spawn"), 2)


def test_a_callback_that_plans_for_one_phase_is_named():
    with pytest.raises(ValueError, match=r"StochasticWeightAveraging.*use WeightAveraging or EMAWeightAveraging"):
        fit(cutter(), StochasticWeightAveraging(0.1))


def test_target_errors_come_before_training():
    model = Classifier()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(TargetError):
        fit(PruneAndFinetune({"macs": 1e-4}), model=model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if "weight" in name)


def test_weights_that_are_not_finite_are_refused():
    class Broken(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            pl_module.net[0].weight.data[0] = float("nan")

    with pytest.raises(ValueError, match="finite"):
        fit(Broken(), cutter())


def test_a_group_without_a_living_channel_is_named():
    class Kill(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            with torch.no_grad():
                for parameter in (*pl_module.net[3:5].parameters(), pl_module.net[8].weight):
                    parameter.zero_()

    cut = cutter()
    fit(Kill(), cut, epochs=1)
    assert cut.facts["dead_groups"] == ["net.3"]
