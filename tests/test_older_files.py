"""Files that version 0.1.0 wrote before its modules moved still load, apply, test, resume and read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.small_module import FINETUNE_EPOCHS, SPARSIFY_EPOCHS, SmallModule, data, pruning, trainer
from safe_load import SAFE_LOAD

from physprune_pl import PruningPlan, PruningReport, apply_plan, load_pruned
from physprune_pl.commands import main
from physprune_pl.history import load_filters, load_history

FOLDER = Path(__file__).parent / "fixtures" / "version_0_1_0"
WIDTHS = {"sparsify": (8, 12), "finetune": (5, 9)}
CHECKPOINTS = [pytest.param(FOLDER / f"{phase}.ckpt", WIDTHS[phase], id=phase) for phase in WIDTHS]


@pytest.fixture
def plan():
    return PruningPlan.from_json((FOLDER / "plan.json").read_text(encoding="utf-8"))


@pytest.fixture
def report():
    return PruningReport.from_json((FOLDER / "report.json").read_text(encoding="utf-8"))


def widths(net):
    return net[0].out_channels, net[3].out_channels


def saved(path):
    return torch.load(path, weights_only=True)


def last_val_loss(path):
    """What validation found right before the checkpoint was saved."""
    metrics = saved(path)["callbacks"]["PruneAndFinetune{'module': None}"]["metrics"]
    return list(metrics.values())[-1]["val_loss"]


def assert_same_history(folder, exact):
    """The file is that of the uninterrupted fit; strengths within what another processor may compute."""
    history, recorded = load_history(folder / "channels.npz"), load_history(FOLDER / "channels.npz")
    for column in ("epoch", "phase", "group", "channel"):
        np.testing.assert_array_equal(history[column], recorded[column])
    for column in ("strength", "distance", "coefficient") if exact else ():
        np.testing.assert_allclose(history[column], recorded[column], rtol=1e-2, atol=1e-4)


def test_the_plan_cuts_the_network_of_the_checkpoint(plan):
    module, path = SmallModule().eval(), FOLDER / "finetune.ckpt"
    apply_plan(module, plan)
    assert widths(module.net) == WIDTHS["finetune"]
    module.load_state_dict(saved(path)["state_dict"])
    pictures = next(iter(data()))[0]
    torch.testing.assert_close(module(pictures), load_pruned(SmallModule(), path).eval()(pictures))


def test_the_plan_tells_what_it_leaves(plan, report):
    assert [(group.name, group.before, group.after) for group in plan.groups] == [("net.0", 8, 5), ("net.3", 12, 9)]
    assert plan.macs == tuple(report.macs.values()) == (16440, 8118)
    assert plan.params == tuple(report.params.values()) == (1002, 498)
    assert plan.params[1] == sum(parameter.numel() for parameter in apply_plan(SmallModule(), plan).parameters())


@pytest.mark.parametrize(("path", "expected"), CHECKPOINTS)
def test_load_pruned(path, expected):
    module = load_pruned(SmallModule(), path)
    bare = load_pruned(SmallModule().net, path)
    assert widths(module.net) == widths(bare) == expected
    for name, value in saved(path)["state_dict"].items():
        assert torch.equal(module.state_dict()[name], value)
        assert torch.equal(bare.state_dict()[name.removeprefix("net.")], value)


@pytest.mark.parametrize(("path", "expected"), CHECKPOINTS)
def test_a_trainer_with_the_callbacks_tests(path, expected, tmp_path):
    module = SmallModule()
    (found,) = trainer(tmp_path, *pruning()).test(module, data(), ckpt_path=path, **SAFE_LOAD, verbose=False)
    assert widths(module.net) == expected
    assert found["val_loss"] == pytest.approx(last_val_loss(path), rel=1e-5)


@pytest.mark.parametrize(("path", "expected"), CHECKPOINTS)
def test_the_fit_goes_on_to_its_end(path, expected, tmp_path, plan, report):
    module, callbacks = SmallModule(), pruning()
    runner = trainer(tmp_path / "run", *callbacks)
    runner.fit(module, data(shuffle=True), data(), ckpt_path=path, **SAFE_LOAD)
    assert runner.current_epoch == SPARSIFY_EPOCHS + FINETUNE_EPOCHS
    assert widths(module.net) == WIDTHS["finetune"]
    assert callbacks[-1].plan == plan
    again = callbacks[-1].report
    assert again.groups == report.groups
    assert (again.macs, again.params, again.left_whole) == (report.macs, report.params, report.left_whole)
    folder = tmp_path / "run" / "pruning"
    assert (folder / "report.html").exists()
    # Steering takes its share after the optimizer's step since, so what it goes on with ends near by, not there.
    exact = saved(path)["callbacks"]["PruneAndFinetune{'module': None}"]["phase"] == "finetune"
    for moment in ("after_sparsify", "after_cut", "after_finetune"):
        assert again.metric[moment] == pytest.approx(report.metric[moment], rel=1e-3 if exact else 0.2), moment
    assert_same_history(folder, exact)
    # The best weights of fine-tuning are those that the second checkpoint holds.
    for name, value in saved(FOLDER / "finetune.ckpt")["state_dict"].items() if exact else ():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-2, atol=1e-3)


def test_the_history_reads():
    channels, filters = load_history(FOLDER / "channels.npz"), load_filters(FOLDER / "channels.npz")
    epochs = SPARSIFY_EPOCHS + FINETUNE_EPOCHS
    assert list(np.unique(channels["epoch"])) == list(np.unique(filters["epoch"])) == list(range(epochs))
    assert set(channels["group"]) == {"net.0", "net.3"}
    for phase, epoch in (("sparsify", 0), ("finetune", epochs - 1)):
        rows = channels[channels["epoch"] == epoch]
        assert set(rows["phase"]) == {phase}
        assert tuple(sum(rows["group"] == group) for group in ("net.0", "net.3")) == WIDTHS[phase]
        assert (rows["strength"] > 0).all()


def test_the_report_reads(report):
    assert report.versions["physprune_pl"] == "0.1.0"
    assert "49" in report.table()
    assert "| net.0 | 8 | 5 | yes |" in report.to_markdown()
    assert PruningReport.from_json(report.to_json()) == report


def test_the_command_line_draws_the_page_of_an_older_run(tmp_path):
    for name in ("channels.npz", "report.json"):
        shutil.copy(FOLDER / name, tmp_path / name)
    assert main(("report", str(tmp_path))) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "net.0" in page
    assert "net.3" in page
    assert "The line that steering followed is not recorded." in page
