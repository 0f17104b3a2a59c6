"""Files of cut networks as other people's code reads them: by ``load_from_checkpoint``, and of weights only."""

import sys

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.core import saving
from omegaconf import OmegaConf
from safe_load import SAFE_LOAD
from small import Classifier, cutter, data, fit, net, trainer
from torch import nn

from physprune_pl import load_pruned
from physprune_pl.callbacks.trainer.instantiators import name_instantiator, trust_instantiators

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:Attribute '(network|part)' is an instance of `nn.Module`"
)
IMAGES = torch.ones(2, 1, 6, 6)


class Without(Classifier):
    """No hyper-parameters."""

    def __init__(self):
        super().__init__()


class Flat(Classifier):
    """Each argument is a hyper-parameter, a network among them."""

    def __init__(self, network, classes=2, *, scale=1.0):
        super().__init__(network=lambda: network)
        self.save_hyperparameters()

    def on_load_checkpoint(self, checkpoint):
        self.loaded = checkpoint["epoch"]


class Rest(Classifier):
    """Takes everything."""

    def __init__(self, **kwargs):
        super().__init__()
        self.save_hyperparameters()


class Whole(Classifier):
    """One argument holds all hyper-parameters."""

    def __init__(self, config, extra=None):
        super().__init__()
        self.save_hyperparameters(config)
        self.config = config


class Late(Classifier):
    """Makes its network when it is asked to."""

    def __init__(self):
        super().__init__()
        del self.net

    def configure_model(self):
        if not hasattr(self, "net"):
            self.net = net()


class Again(Classifier):
    """Builds its network again, and calls its weights something else in files."""

    def on_save_checkpoint(self, checkpoint):
        checkpoint["state_dict"] = {f"my.{name}": value for name, value in checkpoint["state_dict"].items()}

    def on_load_checkpoint(self, checkpoint):
        self.net = net()
        checkpoint["state_dict"] = {name[3:]: value for name, value in checkpoint["state_dict"].items()}


MODULES = {
    "again": (Again, {}, {}),
    "without": (Without, {}, {}),
    "flat": (lambda: Flat(net(), classes=2), {}, {"classes": 2, "scale": 1.0}),
    "arguments given": (lambda: Flat(net(), classes=2), {"network": net()}, {"classes": 2, "scale": 1.0}),
    "rest": (lambda: Rest(width=3), {}, {"width": 3}),
    "mapping": (lambda: Whole({"width": 3}), {}, {"width": 3}),
    "omegaconf": (lambda: Whole(OmegaConf.create({"a": {"b": 3}, "c": "${a.b}"})), {}, {"a": {"b": 3}, "c": 3}),
    "late": (Late, {}, {}),
}


def fitted(folder, make, weights_only=False):
    files = ModelCheckpoint(folder, save_weights_only=weights_only)
    model, _ = fit(cutter(finetune_epochs=1), files, model=make(), epochs=1)
    return model.eval(), files.best_model_path


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_load_from_checkpoint_builds_a_pruned_module(tmp_path, name, weights_only):
    make, given, parameters = MODULES[name]
    model, path = fitted(tmp_path, make, weights_only)
    kind = type(model)
    loaded = kind.load_from_checkpoint(path, weights_only=False, **given).eval()
    torch.testing.assert_close(loaded(IMAGES), model(IMAGES))
    assert loaded.net[0].out_channels == loaded.net[1].num_features < 8
    assert "on_load_checkpoint" not in vars(loaded)
    assert {key: value for key, value in loaded.hparams.items() if key != "network"} == parameters
    # What a user finds there is what Lightning writes without us.
    saved = torch.load(path, weights_only=False).get("hyper_parameters", {})
    assert {key: value for key, value in saved.items() if key != "network"} == parameters
    if isinstance(loaded, Flat):
        assert loaded.loaded == 1


@pytest.mark.parametrize("name", ["without", "flat", "omegaconf"])
def test_files_of_weights_only_are_loaded_and_tested(tmp_path, name):
    make, *_ = MODULES[name]
    model, path = fitted(tmp_path, make, weights_only=True)
    torch.testing.assert_close(load_pruned(make(), path).eval()(IMAGES), model(IMAGES))
    tested = make()
    options = {key: False for key in SAFE_LOAD}  # the hyper-parameters are Lightning's to read
    trainer(cutter()).test(tested, data(), ckpt_path=path, verbose=False, **options)
    torch.testing.assert_close(tested.eval()(IMAGES), model(IMAGES))


def test_a_file_that_is_saved_after_the_fit(tmp_path):
    model, run = fit(cutter(finetune_epochs=1), epochs=1)
    for weights_only in (False, True):
        run.save_checkpoint(tmp_path / "last.ckpt", weights_only=weights_only)
        loaded = load_pruned(Classifier(), tmp_path / "last.ckpt")
        torch.testing.assert_close(loaded.eval()(IMAGES), model.eval()(IMAGES))


def test_dense_files_say_nothing_of_us(tmp_path):
    files = ModelCheckpoint(tmp_path, save_top_k=-1)
    fit(cutter(finetune_epochs=1), files, model=Without(), epochs=1)
    dense = torch.load(tmp_path / "epoch=0-step=3.ckpt", weights_only=True)
    assert "module_arguments" not in dense
    assert Without.load_from_checkpoint(tmp_path / "epoch=0-step=3.ckpt").net[0].out_channels == 8


def test_a_plan_for_another_module_is_refused(tmp_path):
    _, path = fitted(tmp_path, Without)

    class Other(Without):
        def __init__(self):
            super().__init__()
            self.net[8] = nn.Identity()

    with pytest.raises(ValueError, match="another network"):
        Other.load_from_checkpoint(path)


def test_lightning_names_us_where_it_calls_only_what_it_knows(tmp_path, monkeypatch):
    if not hasattr(saving, "_ALLOWED_INSTANTIATORS"):
        pytest.skip("this version of Lightning calls what a checkpoint names")
    model, path = fitted(tmp_path, Without)
    monkeypatch.setattr(saving, "_ALLOWED_INSTANTIATORS", set())
    with pytest.raises(ValueError, match=r"physprune_pl\.callbacks\.pruned_module"):
        Without.load_from_checkpoint(path)
    trust_instantiators("physprune_pl.callbacks.pruned_module")
    assert Without.load_from_checkpoint(path).net[0].out_channels == model.net[0].out_channels


class OfCli(Classifier):
    def __init__(self, part: nn.Module, rate: float = 0.1):
        super().__init__()
        self.part = part
        self.save_hyperparameters()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between versions of Lightning and jsonargparse
def test_modules_of_lightning_cli(tmp_path, monkeypatch):
    files = ModelCheckpoint(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x"])
    arguments = {"model": {"part": {"class_path": "torch.nn.ReLU"}, "rate": 0.2}}
    run = {"callbacks": [cutter(finetune_epochs=1), files], "max_epochs": 1, "logger": False, "accelerator": "cpu"}
    run |= {"enable_progress_bar": False, "enable_model_summary": False}
    options = {"run": False, "save_config_callback": None, "seed_everything_default": False}
    cli = LightningCLI(OfCli, args=arguments, trainer_defaults=run, **options)
    cli.trainer.fit(cli.model, data(), data())
    loaded = OfCli.load_from_checkpoint(files.best_model_path)
    assert loaded.hparams.rate == 0.2
    assert isinstance(loaded.part, nn.ReLU)
    assert loaded.net[0].out_channels == cli.model.net[0].out_channels < 8


def test_one_argument_beside_others_of_the_same_names_is_left_to_lightning():
    class Mixed(LightningModule):
        def __init__(self, config, width=1):
            """Nothing."""

    class Open(LightningModule):
        def __init__(self, config, **rest):
            """Nothing."""

    for kind, arguments in ((Mixed, {"width": 2}), (Open, {"depth": 2})):
        checkpoint = {"hyper_parameters": arguments, "hparams_name": "config"}
        name_instantiator(checkpoint, kind, "a.b", "a.c")
        assert checkpoint == {"hyper_parameters": arguments, "hparams_name": "config"}
