"""One fit: epochs under force, the cut, fine-tuning; and every way to be interrupted, resumed or misused."""

import copy

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    ModelCheckpoint,
    StochasticWeightAveraging,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import Logger
from small import Classifier, Widths, adamw_cosine, cutter, data, fit, net, one_cycle, trainer
from torch import nn

from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.session import PruningSession
from physprune_pl.report import PruningReport
from physprune_pl.surgery import load_pruned
from physprune_pl.targets import Target, TargetError

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Spy(Callback):
    """Calls a function at the start of every epoch, after the callback under test."""

    def __init__(self, look):
        self.look, self.seen = look, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(self.look(trainer, pl_module))


class Saver(Checkpoint):
    """Saves at the end of every epoch, where ModelCheckpoint does."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


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
    assert set(report.seconds) == {"trace", "sparsify", "cut", "finetune"}
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


def test_compiled_network():
    cut = cutter(session=PruningSession("net", torch.zeros(1, 1, 6, 6), target=Target("macs", 0.5)))
    model, _ = fit(cut, model=Classifier(network=lambda: torch.compile(net(), backend="eager")))
    assert model.net._orig_mod[0].out_channels < 8
    assert cut.report.metric["after_finetune"] is not None


# Checkpoints, early stopping, what sees the validation after the cut


def test_the_last_checkpoint_of_the_first_phase_is_dense_and_none_of_its_scores_counts_later(tmp_path):
    checkpoints = ModelCheckpoint(tmp_path, "{epoch}", monitor="val_loss", save_last=True)
    scores = {}

    def look(trainer, pl_module):
        scores[trainer.current_epoch] = (checkpoints.best_model_score, len(checkpoints.best_k_models))

    model, _ = fit(cutter(), Spy(look), checkpoints, epochs=3)
    assert scores[2][1] == 1
    assert scores[3] == (None, 0)
    files = {path.stem: torch.load(path, weights_only=True) for path in tmp_path.glob("*.ckpt")}
    dense = [content for content in files.values() if content["epoch"] < 3]
    assert len(dense) == 1
    assert dense[0]["state_dict"]["net.0.weight"].shape[0] == 8
    best = torch.load(checkpoints.best_model_path, weights_only=True)
    assert best["epoch"] >= 3
    assert best["state_dict"]["net.0.weight"].shape == model.net[0].weight.shape


def test_early_stopping_leads_to_the_cut_and_starts_anew():
    stop = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    cut, widths = cutter(), Widths()
    states = Spy(lambda trainer, pl_module: (stop.wait_count, trainer.should_stop, trainer.min_epochs))
    _, runner = fit(cut, widths, states, stop, epochs=9)
    assert widths.seen["start"][:2] == [8, 8]
    assert widths.seen["start"][2] < 8
    assert states.seen[2] == (0, False, 0)
    # The same patience ends fine-tuning as well.
    assert runner.current_epoch == 4


def test_early_stopping_waits_for_min_epochs():
    stop = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    cut, widths = cutter(), Widths()
    fit(cut, widths, stop, epochs=9, min_epochs=4)
    assert widths.seen["start"][:5].count(8) == 4


def test_early_stopping_between_the_validations_of_an_epoch():
    cut, widths = cutter(), Widths()
    fit(cut, widths, EarlyStopping("val_loss", patience=1, min_delta=100.0), epochs=9, val_check_interval=0.5)
    assert widths.seen["start"][0] == 8
    assert widths.seen["start"][1] < 8


class Counter(Logger):
    name, version, experiment = "counter", 0, None

    def __init__(self):
        super().__init__()
        self.logged = []

    def log_metrics(self, metrics, step=None):
        self.logged += [name for name in metrics if name == "val_loss"]

    def log_hyperparams(self, params, *args, **kwargs):
        """Nothing to keep."""


class Judge(EarlyStopping):
    def __init__(self):
        super().__init__("val_loss", patience=99)
        self.calls = 0

    def on_validation_end(self, trainer, pl_module):
        self.calls += not trainer.sanity_checking


def test_nobody_sees_the_validation_after_the_cut():
    logger, judge, cut = Counter(), Judge(), cutter()
    before = Spy(lambda trainer, pl_module: dict(trainer.callback_metrics))
    after = Spy(before.look)
    fit(before, cut, after, judge, logger=logger)
    assert len(logger.logged) == judge.calls == 4
    assert before.seen == after.seen
    assert cut.report.metric["after_cut"] is not None


def test_the_validation_after_the_cut_leaves_counters_and_generators_alone():
    def look(trainer, pl_module):
        loop = trainer.fit_loop.epoch_loop.val_loop
        return torch.get_rng_state(), loop.batch_progress.state_dict(), dict(loop._seen_batches_per_dataloader)

    before, after = Spy(look), Spy(look)
    fit(before, cutter(), after)
    assert torch.equal(before.seen[2][0], after.seen[2][0])
    assert before.seen[2][1:] == after.seen[2][1:]


def test_with_a_progress_bar_and_a_logger(tmp_path):
    model, _ = fit(cutter(), TQDMProgressBar(), logger=CSVLogger(tmp_path), enable_progress_bar=True)
    assert model.net[0].out_channels < 8


# Optimizers


def rates(trainer, pl_module):
    return [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


def two_groups(parameters, trainer):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": 0.2}, {"params": others}], lr=0.1, momentum=0.9)


@pytest.mark.parametrize(("given", "expected"), [(None, [0.02, 0.01]), (0.005, [0.005, 0.005])])
def test_learning_rates_of_fine_tuning(given, expected):
    spy = Spy(rates)
    fit(cutter(finetune_lr=given), spy, model=Classifier(two_groups))
    assert spy.seen[0] == [0.2, 0.1]
    assert spy.seen[2] == pytest.approx(expected)


def plateau(parameters, trainer):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.05)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


def warm_up(parameters, trainer):
    optimizer, schedulers = torch.optim.SGD(parameters, lr=0.1), torch.optim.lr_scheduler
    parts = [schedulers.LinearLR(optimizer, 0.5, total_iters=1), schedulers.CosineAnnealingLR(optimizer, 3)]
    return [optimizer], [schedulers.SequentialLR(optimizer, parts, milestones=[1])]


@pytest.mark.parametrize("make", [one_cycle, adamw_cosine, plateau, warm_up])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_every_scheduler_runs_its_own_curve_at_a_tenth(make):
    spy = Spy(rates)
    model = Classifier(make)
    fit(cutter(finetune_epochs=3), spy, model=model, epochs=3)
    assert model.configured == [3, 3]
    first, second = torch.tensor(spy.seen[:3]), torch.tensor(spy.seen[3:])
    if make is plateau:
        assert second.max() <= 0.01
        return
    torch.testing.assert_close(second, 0.1 * first)


def test_one_cycle_peaks_at_the_given_rate():
    seen = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(rates(trainer, pl_module)[0])

    fit(cutter(finetune_lr=0.05, finetune_epochs=4), Rates(), model=Classifier(one_cycle))
    assert max(seen[6:]) == pytest.approx(0.05, rel=0.05)


def moments(trainer, pl_module):
    (optimizer,) = trainer.optimizers
    names = {parameter: name for name, parameter in pl_module.named_parameters()}
    state = {names[one]: copy.deepcopy(value) for one, value in optimizer.state.items()}
    return optimizer, list(pl_module.parameters()), state


def test_moments_of_the_channels_that_stay_are_carried_into_the_new_optimizer():
    before, after, cut = Spy(moments), Spy(moments), cutter()
    fit(before, cut, after, model=Classifier(adamw_cosine))
    assert before.seen[2][0] is not after.seen[2][0]
    assert all(old is new for old, new in zip(before.seen[2][1], after.seen[2][1], strict=True))
    kept = torch.tensor(cut.plan.tensors["net.0.weight"].keep[0])
    old, new = before.seen[2][2]["net.0.weight"], after.seen[2][2]["net.0.weight"]
    torch.testing.assert_close(new["exp_avg_sq"], old["exp_avg_sq"][kept])
    assert new["step"] == old["step"] == 6


def test_frozen_layers_are_cut_and_stay_frozen():
    model = Classifier()
    model.net[0].weight.requires_grad_(False)
    fit(cutter(), model=model)
    assert not model.net[0].weight.requires_grad
    assert model.net[3].in_channels == model.net[0].out_channels


def test_a_lost_parameter_is_an_error():
    calls = []

    def forgetful(parameters, trainer):
        calls.append(list(parameters))
        return torch.optim.SGD(calls[0] if len(calls) == 1 else calls[-1][1:], lr=0.1)

    with pytest.raises(RuntimeError, match="left out 1 trainable"):
        fit(cutter(), model=Classifier(forgetful))


class TwoOptimizers(Classifier):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self):
        halves = self.net[:3].parameters(), self.net[3:].parameters()
        return [torch.optim.SGD(half, lr=0.1, momentum=0.9) for half in halves]


def test_manual_optimization_with_two_optimizers():
    spy = Spy(rates)
    model, _ = fit(cutter(), spy, model=TwoOptimizers())
    assert model.net[0].out_channels < 8
    assert spy.seen[2] == pytest.approx([0.01, 0.01])


# Best weights


class Zigzag(Classifier):
    """A metric that is best in the first epoch of fine-tuning."""

    def on_validation_epoch_end(self):
        self.log("score", -float(self.current_epoch))


def test_the_best_fine_tuned_weights_are_put_back():
    weights = {}

    class Keep(Callback):
        def on_validation_end(self, trainer, pl_module):
            weights[trainer.current_epoch] = copy.deepcopy(pl_module.state_dict())

    cut = cutter(monitor="score", mode="max", finetune_epochs=3)
    model, _ = fit(cut, Keep(), model=Zigzag())
    assert cut.report.metric["after_finetune"] == -2.0
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[2][name])
    assert not torch.equal(model.net[0].weight, weights[4]["net.0.weight"])


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


# Resume


def state_of(model, runner, *callbacks):
    """All there is after a fit, without times and paths."""
    (optimizer,), schedulers = runner.optimizers, runner.lr_scheduler_configs
    states = {callback.state_key: callback.state_dict() for callback in callbacks}
    for state in states.values():
        state.pop("seconds", None)
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
    runner.fit(model, data(), data(), ckpt_path=tmp_path / "1.ckpt", weights_only=True)
    assert [width == 8 for width in widths.seen["end"]] == [True, True, False, False, False]
    assert cut.report is not None


def test_test_loads_files_from_before_and_after_the_cut(tmp_path):
    cut = cutter()
    model, runner = fit(cut, Saver(tmp_path))
    small, report = model.net[0].out_channels, cut.report
    for epoch, width in ((1, 8), (3, small), (0, 8)):
        runner.test(model, data(), ckpt_path=tmp_path / f"{epoch}.ckpt", weights_only=True, verbose=False)
        assert model.net[0].out_channels == model.net[1].num_features == width
    assert cut.report is report
    assert cut.record.phase == "finetune"
    fresh = Classifier()
    trainer(cutter()).test(fresh, data(), ckpt_path=tmp_path / "3.ckpt", weights_only=True, verbose=False)
    assert fresh.net[0].out_channels == small


def test_the_hook_is_gone_after_the_fit():
    model, _ = fit(cutter())
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(Classifier().state_dict())


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


# Preview, refusals


def test_preview():
    text = cutter().preview(Classifier())
    assert "net.0: 8 channels" in text
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
        ({"monitor": "val_loss"}, "mode"),
        ({"mode": "min"}, "mode"),
        ({"monitor": "val_loss", "mode": "best"}, "mode"),
        ({"session": PruningSession(target=Target("params", 0.5))}, "session aims at"),
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
        (Classifier, cutter, {"max_steps": 7}, "max_steps"),
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
def test_fits_that_cannot_work_are_refused(model, cut, limits, message):
    with pytest.raises(ValueError, match=message):
        fit(cut(), model=model(), **limits)


def test_callbacks_that_keep_dense_copies_are_named():
    with pytest.raises(ValueError, match="StochasticWeightAveraging"):
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
