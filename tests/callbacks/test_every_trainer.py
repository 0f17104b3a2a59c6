"""A Trainer without any of our callbacks loads pruned checkpoints once the package is installed."""

import copy
import os
import pickle
import subprocess
import sys

import entry_points
import lightning as L
import pytest
import pytorch_lightning
import torch
from configured import ROOT
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from safe_load import SAFE_LOAD
from small import Classifier, Saver, cutter, data, fit, net, trainer
from torch import nn

from physprune_pl import load_pruned
from physprune_pl.callbacks import PrunedCheckpoints
from physprune_pl.callbacks.every_trainer import PrunedCheckpointsEverywhere, callbacks_for_every_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
]


@pytest.fixture
def pruned(tmp_path):
    """Return a checkpoint of a pruned network, and its module."""
    model, _ = fit(cutter(), Saver(tmp_path))
    return tmp_path / "3.ckpt", model


@pytest.fixture
def installed(monkeypatch):
    entry_points.install(monkeypatch)


def metrics(model, *callbacks, ckpt_path=None):
    runner = trainer(*callbacks)
    return runner.test(model, data(), ckpt_path=ckpt_path, verbose=False, **(SAFE_LOAD if ckpt_path else {}))[0]


@pytest.mark.usefixtures("installed")
def test_every_trainer_has_one_and_loads_a_pruned_file(pruned):
    path, model = pruned
    assert [type(one) for one in trainer().callbacks] == [PrunedCheckpointsEverywhere]
    other = Classifier()
    assert metrics(other, ckpt_path=path) == pytest.approx(metrics(model))
    assert other.net[0].out_channels == model.net[0].out_channels < 8
    assert not other._load_state_dict_pre_hooks


@pytest.mark.usefixtures("installed")
def test_a_fit_goes_on_from_a_pruned_file_and_its_files_carry_the_plan(tmp_path, pruned):
    further, _ = fit(Saver(tmp_path / "b"), epochs=6, ckpt_path=pruned[0])
    again = load_pruned(Classifier(), tmp_path / "b" / "5.ckpt")
    assert all(map(torch.equal, again.state_dict().values(), further.state_dict().values()))


@pytest.mark.usefixtures("installed")
def test_averaged_weights_take_the_shapes_too(tmp_path):
    averages = EMAWeightAveraging(decay=0.5)
    model, _ = fit(cutter(), averages, Saver(tmp_path))
    further, _ = fit(EMAWeightAveraging(decay=0.5), epochs=6, ckpt_path=tmp_path / "3.ckpt")
    assert further.net[0].out_channels == model.net[0].out_channels < 8


@pytest.mark.usefixtures("installed")
def test_a_trainer_of_the_other_package_has_it_too():
    assert set(entry_points.GROUPS) == {"lightning.pytorch.callbacks_factory", "pytorch_lightning.callbacks_factory"}
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    runner = pytorch_lightning.Trainer(enable_model_summary=False, **options)
    assert [type(one) for one in runner.callbacks] == [PrunedCheckpointsEverywhere]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("own", [PrunedCheckpoints, cutter])
def test_it_stands_back_where_a_callback_of_ours_loads_the_file(pruned, own):
    runner = trainer(own())
    here = next(one for one in runner.callbacks if isinstance(one, PrunedCheckpointsEverywhere))
    attached = []
    Classifier.on_test_start = lambda self: attached.append(here._any_width.attached)
    try:
        scores = runner.test(Classifier(), data(), ckpt_path=pruned[0], verbose=False, **SAFE_LOAD)[0]
    finally:
        del Classifier.on_test_start
    assert attached == [False]
    assert scores == pytest.approx(metrics(pruned[1]))


@pytest.mark.usefixtures("installed")
def test_who_does_not_prune_gets_the_same_fit_the_same_files_and_no_warning(tmp_path, monkeypatch):
    def run(folder):
        torch.manual_seed(0)
        model, runner = fit(ModelCheckpoint(tmp_path / folder, save_last=True))
        return model, torch.load(tmp_path / folder / "last.ckpt", weights_only=True), runner

    model, file, runner = run("with")
    monkeypatch.setenv("PHYSPRUNE_EVERY_TRAINER", "0")
    other, plain, _ = run("without")
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    assert len(file["callbacks"]) == len(plain["callbacks"]) == 1
    assert type(runner.strategy.checkpoint_io).__name__ == "TorchCheckpointIO"
    assert not model._load_state_dict_pre_hooks
    assert not model._load_state_dict_post_hooks


@pytest.mark.usefixtures("installed")
def test_a_module_that_is_stored_in_training_holds_nothing_of_ours(tmp_path):
    class Stores(Classifier):
        def on_train_batch_start(self, batch, batch_idx):
            assert not self._load_state_dict_pre_hooks
            copy.deepcopy(self.net)

    fit(model=Stores(), epochs=1)
    assert pickle.loads(pickle.dumps(PrunedCheckpointsEverywhere()))._any_width.attached is False


@pytest.mark.usefixtures("installed")
def test_errors_of_files_without_a_plan_are_those_of_torch(tmp_path):
    _, runner = fit()
    runner.save_checkpoint(tmp_path / "dense.ckpt")
    wide = Classifier(network=lambda: nn.Sequential(*list(net())[:-1], nn.Linear(8, 3)))
    with pytest.raises(RuntimeError, match=r"size mismatch for net\.8\.weight"):
        metrics(wide, ckpt_path=tmp_path / "dense.ckpt")


@pytest.mark.usefixtures("installed")
def test_a_pruned_module_takes_its_file_as_it_is(pruned):
    path, model = pruned
    loaded = load_pruned(Classifier(), path)
    loaded.more = nn.Linear(2, 2)
    loaded.strict_loading = False
    assert metrics(loaded, ckpt_path=path) == pytest.approx(metrics(model))


@pytest.mark.usefixtures("installed")
def test_a_plan_of_another_network_is_refused(pruned):
    other = Classifier(network=lambda: nn.Sequential(*list(net())[:-1], nn.Linear(8, 3)))
    with pytest.raises(ValueError, match="no pruning plan in it explains that"):
        metrics(other, ckpt_path=pruned[0])


def test_the_environment_switches_it_off(monkeypatch):
    assert callbacks_for_every_trainer() == []
    monkeypatch.setenv("PHYSPRUNE_EVERY_TRAINER", "off")
    with pytest.raises(ValueError, match=r"PHYSPRUNE_EVERY_TRAINER: expected 0 .* or 1, got 'off'"):
        callbacks_for_every_trainer()


SCRIPT = """
import sys
from lightning.pytorch import Trainer
quiet = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}
runner = Trainer(accelerator="cpu", **quiet)
from small import Classifier, data
print(runner.test(Classifier(), data(), ckpt_path=sys.argv[1], verbose=False)[0]["val_loss"])
"""


@pytest.mark.parametrize(("switch", "loads"), [("1", True), ("0", False)])
def test_another_process_finds_it_by_the_entry_points_alone(tmp_path, pruned, switch, loads):
    path, model = pruned
    entry_points.write(tmp_path / "site")
    folders = [tmp_path / "site", ROOT, ROOT / "tests", ROOT / "tests" / "callbacks"]
    found = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PHYSPRUNE_EVERY_TRAINER": switch}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], env=found, capture_output=True, text=True)
    assert ("size mismatch for net.0.weight" in done.stderr) is not loads
    if loads:
        assert float(done.stdout) == pytest.approx(metrics(model)["val_loss"])


def test_the_last_of_the_callers_own_list_still_has_the_report(installed, tmp_path):
    cut = cutter()
    callbacks = [cut]
    runner = L.Trainer(
        max_epochs=2,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    runner.fit(Classifier(), data(), data())
    assert type(callbacks[-1]) is PrunedCheckpointsEverywhere
    assert callbacks[-1].report is cut.report is not None
    assert callbacks[-1].plan is cut.plan
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = callbacks[-1].nothing_of_the_kind
    with pytest.raises(AttributeError, match="'PrunedCheckpointsEverywhere' object has no attribute 'report'"):
        _ = PrunedCheckpointsEverywhere().report
    assert pickle.loads(pickle.dumps(PrunedCheckpointsEverywhere())).state_dict() == {}
