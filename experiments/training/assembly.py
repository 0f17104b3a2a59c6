"""From a composed configuration to objects; besides train.py the only module that knows Hydra."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import get_object
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from experiments.training.data import LabelledData
from experiments.training.hydra_versions import BASE, instantiate
from experiments.training.models import start_from
from experiments.training.supervised import Supervised
from physprune_pl import PruneAndFinetune, forces, physics_pruning
from physprune_pl.callbacks import RandomStates, ReportWriter
from physprune_pl.latency import Stopwatch
from physprune_pl.selections import Selection
from physprune_pl.surgery.apply import adopt_shapes

CONF = str(Path(__file__).parents[2] / "conf")

# Settings that the files of conf/force/ may hold and a law of one's own need not know.
LAW_SETTINGS = {
    setting.name
    for law in vars(forces).values()
    if inspect.isclass(law) and issubclass(law, forces.ForceLaw)
    for setting in fields(law)
}

# Packages that loggers of Lightning need and that come with neither it nor us.
LOGGER_PACKAGES = {"TensorBoardLogger": "tensorboard", "WandbLogger": "wandb", "MLFlowLogger": "mlflow"}

CompositionError = HydraException


def with_recipe(overrides: Sequence[str]) -> list[str]:
    """Return overrides of which ``experiment=NAME`` has the plus that Hydra asks for: no recipe is taken by default."""
    return [f"+{one}" if one.startswith("experiment=") else one for one in overrides]


def composed(overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that ``train.py`` would get with these overrides.

    Raises:
        CompositionError: when a choice or a key does not exist.
    """
    with initialize_config_dir(CONF, **BASE):
        return compose("train", with_recipe(overrides))


def check_settings(config: DictConfig) -> None:
    """Check what is used only after the training, so that it fails before.

    Raises:
        FileNotFoundError: when ``baseline`` names no file.
        ValueError: when ``recalibration_batches`` is negative.
    """
    if config.baseline is not None and not Path(config.baseline).is_file():
        raise FileNotFoundError(f"baseline: expected the checkpoint of a dense network, no file {config.baseline}")
    if config.recalibration_batches < 0:
        raise ValueError(f"recalibration_batches: expected at least 0, got {config.recalibration_batches}")


def build_data(config: DictConfig) -> LabelledData:
    """Return the data module of ``conf/data``."""
    data: LabelledData = instantiate(config.data)
    return data


def build_model(config: DictConfig, data: LabelledData) -> Supervised:
    """Return the untrained module around a network of ``conf/model``."""
    network = build_network(config.model, data)
    return Supervised(network, instantiate(config.optimizer), data.example(2), data.task, config.warmup)


def build_network(node: DictConfig, data: LabelledData) -> nn.Module:
    """Return a fresh dense network of ``conf/model``, or the one in the checkpoint that its ``weights`` names."""
    # Plain data: a copy of a node still has its place in the configuration, and later versions of Hydra look there.
    settings: Any = OmegaConf.to_container(node, resolve=True)
    weights = settings.pop("weights", None)
    check_sizes(settings["_target_"], data)
    network: nn.Module = instantiate(settings, **data.sizes)
    return start_from(network, weights) if weights else network


def check_sizes(factory: str, data: LabelledData) -> None:
    """Check that a factory of networks takes what the data say of themselves.

    Raises:
        ValueError: when it does not, such as a network for pictures on a series to forecast.
    """
    known = inspect.signature(get_object(factory)).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in known.values())
    if missing := [] if takes_all else [name for name in data.sizes if name not in known]:
        raise ValueError(
            f"model: {type(data).__name__} needs a factory that takes {' and '.join(data.sizes)}, got {factory}, "
            f"which takes no {' and no '.join(missing)}; choose another model, or another data set"
        )


def build_pruning(config: DictConfig) -> tuple[list[L.Callback], PruneAndFinetune | None]:
    """Return the callbacks of :func:`physprune_pl.physics_pruning` and the one of them that cuts.

    Without a target there is nothing to cut; a run can be resumed all the same.
    """
    target = {kind: share for kind, share in config.target.items() if share is not None}
    if not target:
        if config.force is not None or config.finetune.epochs:
            raise ValueError("target=none trains a plain dense network: it needs force=none and finetune=none too")
        return [RandomStates()], None
    if len(target) > 1:
        kinds = " and ".join(f"target.{kind}" for kind in target)
        raise ValueError(
            f"target: expected one share to keep, got {kinds}; target=params leaves params alone, and so on"
        )
    callbacks = physics_pruning(
        force=build_force(config.force),
        coefficient=config.coefficient,
        target=target,
        select=build_selection(config.select),
        finetune_epochs=config.finetune.epochs,
        finetune_lr=config.finetune.lr,
        ignore=tuple(config.ignore),
        round_to=config.round_to,
        min_share=dict(config.min_share or {}),
        max_share=dict(config.max_share or {}),
        same_width=config.same_width if isinstance(config.same_width, str) else tuple(config.same_width),
        **{axis: instantiate(config[axis]) for axis in ("strength", "distance", "schedule")},
        pivot=config.pivot,
        teacher=config.teacher,
        stopwatch=Stopwatch(**config.stopwatch),
        removal=instantiate(config.removal),
    )
    cutter = next(callback for callback in callbacks if isinstance(callback, PruneAndFinetune))
    # The report of a run has figures of test data, which are known after the fit only.
    return [one for one in callbacks if not isinstance(one, ReportWriter)], cutter


def build_selection(node: str | DictConfig) -> str | Selection:
    """Return the name of a selection as it is, and the selection that a node with ``_target_`` describes."""
    selection: str | Selection = node if isinstance(node, str) else instantiate(node)
    return selection


def build_force(node: DictConfig | None) -> Any:
    """Return the force law of ``conf/force``, or one's own named by ``force._target_``.

    A law of one's own takes the place of a built-in one, whose settings stay behind where it does not know them.
    """
    if node is None:
        return None
    law = get_object(node._target_)
    settings = {str(name): value for name, value in node.items() if name != "_target_"}
    known = inspect.signature(law).parameters
    settings = {name: value for name, value in settings.items() if name in known or name not in LAW_SETTINGS}
    if inspect.isclass(law):
        return law(**settings)
    return partial(law, **settings) if settings else law


def build_trainer(config: DictConfig, callbacks: list[L.Callback]) -> L.Trainer:
    """Return the trainer of ``conf/trainer`` with its loggers and, besides the given ones, its callbacks."""
    more = [instantiate(node) for node in config.callbacks.values()]
    trainer: L.Trainer = instantiate(
        config.trainer,
        callbacks=[*more, *callbacks],
        logger=build_loggers(config.logger) or False,
        default_root_dir=config.paths.output,
    )
    return trainer


def build_loggers(node: DictConfig) -> list[Logger]:
    """Return the loggers of ``conf/logger``.

    Raises:
        ModuleNotFoundError: when one needs a package that is not installed.
    """
    for name in map(str, node):
        package = LOGGER_PACKAGES.get(node[name]._target_.rpartition(".")[2])
        if package is not None and find_spec(package) is None:
            raise ModuleNotFoundError(f"logger={name} needs a package that is not installed: pip install {package}")
    return [instantiate(settings) for settings in node.values()]


Module = TypeVar("Module", bound=nn.Module)


def load_weights(model: Module, path: str | Path) -> Module:
    """Load a state dict, or the one in a Lightning checkpoint, into a model of the same shape."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(saved.get("state_dict", saved))
    return model


def load_narrow(model: Module, path: str | Path) -> Module:
    """Load a state dict of any width into a model of another one, which takes its shapes."""
    shapes = {
        name: tuple(value.shape) for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
    }
    adopt_shapes(model, shapes)
    return load_weights(model, path)
