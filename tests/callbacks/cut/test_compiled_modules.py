"""Modules that compile their network, or a part of it: names are plain on every side, and every file loads."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safe_load import SAFE_LOAD
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import load_pruned, plan_pruning
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    # Of the compiler itself, where a layer is compiled on its own.
    "ignore:The .grad attribute of a Tensor that is not a leaf Tensor",
)


def compiled(module):
    return torch.compile(module, backend="eager")


class Module(LightningModule):
    """Has a forward of its own around the network, and never compiles."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
        self.example_input_array = torch.zeros(1, 4)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("loss", self.training_step(batch, batch_idx))

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class InSetup(Module):
    def setup(self, stage):
        if stage == "fit":
            self.net = compiled(self.net)


class InInit(Module):
    def __init__(self):
        super().__init__()
        self.net = compiled(self.net)


class InPlace(Module):
    def __init__(self):
        super().__init__()
        self.net.compile(backend="eager")


class OneLayer(Module):
    def __init__(self):
        super().__init__()
        self.net[2] = compiled(self.net[2])


KINDS = [InSetup, InInit, InPlace, OneLayer]


def data():
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16)


def trainer(*callbacks, epochs=1):
    saves = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    quiet = {"logger": False, "enable_checkpointing": saves, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", max_epochs=epochs, callbacks=list(callbacks), enable_model_summary=False, **quiet)


def cutter(**kwargs):
    return PruneAndFinetune(**{"target": {"macs": 0.5}, "finetune_epochs": 1} | kwargs)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def fitted(request, tmp_path_factory):
    """A fit of a module, its module, trainer, cutter, and the best file."""
    files = ModelCheckpoint(tmp_path_factory.mktemp("files"), monitor="loss")
    module, cut = request.param(), cutter(monitor="loss", mode="min")
    run = trainer(cut, files)
    run.fit(module, data(), data())
    return module, run, cut, files.best_model_path


def widths(module):
    return [parameter.shape[0] for name, parameter in module.named_parameters() if name.endswith("weight")]


def test_no_name_that_leaves_the_fit_is_that_of_a_wrapper(fitted):
    *_, cut, path = fitted
    assert "_orig_mod" not in cut.report.to_json()
    assert "_orig_mod" not in cut.plan.to_json()
    assert torch.load(path, weights_only=True)["callbacks"][cut.state_key]["prefix"] == ""


def test_the_best_file_is_tested_with_the_same_trainer(fitted):
    module, run, _, path = fitted
    before = widths(module)
    (found,) = run.test(module, data(), ckpt_path=path, verbose=False, **SAFE_LOAD)
    assert found["loss"] > 0
    assert widths(module) == before


@pytest.mark.parametrize("kind", [Module, OneLayer])
def test_it_loads_into_modules_that_are_compiled_elsewhere_or_nowhere(fitted, kind):
    module, _, _, path = fitted
    (expected,) = trainer().test(module, data(), verbose=False)
    loaded = load_pruned(kind(), path)
    tested = kind()
    (found,) = trainer(cutter()).test(tested, data(), ckpt_path=path, verbose=False, **SAFE_LOAD)
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-6)
    for one in (loaded, tested):
        torch.testing.assert_close(one(torch.ones(3, 4)), module(torch.ones(3, 4)))


def test_it_is_resumed(fitted):
    module, _, _, path = fitted
    resumed = type(module)()
    run = trainer(cut := cutter(finetune_epochs=2))
    run.fit(resumed, data(), data(), ckpt_path=path, **SAFE_LOAD)
    assert widths(resumed) == widths(module)
    assert run.current_epoch == 3
    assert cut.report is not None


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_take_the_names_of_reports_and_of_wrappers(kind):
    module, half = kind(), {"threshold": 1.0}
    module.setup("fit")
    for pattern in ("net.2", "net._orig_mod.2", r"net\.2", "net[.]2", r"net\._orig_mod\.2"):
        for limits in ({"ignore": [pattern]}, {"min_share": {pattern: 1.0}}):
            plan = plan_pruning(module, torch.zeros(1, 4), half, **limits)
            kept = {group.name: group.after for group in plan.groups}
            assert kept["net.0"] < 16 == kept.get("net.2", 16)
