"""Train, cut, fine-tune: the run of ``train.py`` with another program in the place of the force and the cut."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig

from experiments.training.assembly import build_data, build_model, load_weights
from experiments.training.data import LabelledData
from experiments.training.evaluation import evaluate
from experiments.training.hydra_versions import instantiate
from experiments.training.outcome import CPU, dense_report, tested
from experiments.training.supervised import Supervised
from physprune_pl import PruningReport
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.reports.report import command_line

log = logging.getLogger(__name__)

MONITOR = "val/loss"


class Peer(Protocol):
    """A program that makes networks smaller."""

    def presses(self, model: Supervised) -> Sequence[L.Callback]:
        """Return what it does during training, before the cut."""
        ...

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:
        """Cut ``model.network`` to a share of its MACs."""
        ...

    def finish(self, model: Supervised) -> None:
        """Do what is left to do after fine-tuning."""
        ...


def run(peer: Peer, config: DictConfig, package: str) -> tuple[PruningReport, float]:
    """Run one configuration of ``train.py``, of which force and steering are left out; return what it returns.

    Args:
        peer: what presses and cuts.
        config: as ``train.py`` takes it.
        package: the peer's, whose version goes into the report.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    report, watch = dense_report(model), _Watch()

    _trainer(config, config.trainer.max_epochs, peer.presses(model)).fit(model, datamodule=data)
    watch.lap("sparsify")
    networks = {"after_sparsify": _copy(config, data, model)}

    peer.cut(model, data, config.target.macs)
    model.train()  # programs leave it in eval mode, in which Lightning would train it too
    watch.lap("cut")
    networks["after_cut"] = _copy(config, data, model)

    _finetune(config, data, model)
    peer.finish(model)
    watch.lap("finetune")
    networks["after_finetune"] = model

    baseline = {"dense": load_weights(build_model(config, data), config.baseline)} if config.baseline else {}
    costs = count_macs(model.network, model.example_input_array), count_parameters(model.network)
    report = replace(
        report,
        macs={**report.macs, "pruned": costs[0]},
        params={**report.params, "pruned": costs[1]},
        seconds=watch.seconds,
        command=command_line(),
        versions={**report.versions, package: version(package)},
        seed=config.seed,
    )
    report = tested(report, {**baseline, **networks}, data, CPU)
    report.save(config.paths.output)
    log.info("report in %s\n%s", config.paths.output, report.table())
    return report, evaluate({"final": model}, data, CPU, "val")["final"]


class _Watch:
    """Wall time of each phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self._since = now - self._since, now


def _trainer(config: DictConfig, epochs: int, callbacks: Sequence[L.Callback]) -> L.Trainer:
    trainer: L.Trainer = instantiate(
        config.trainer,
        max_epochs=epochs,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
        default_root_dir=config.paths.output,
    )
    return trainer


def _copy(config: DictConfig, data: LabelledData, model: Supervised) -> Supervised:
    """Return a module of its own around the network as it is now: one that was trained holds its trainer."""
    copied = build_model(config, data)
    copied.network = copy.deepcopy(model.network)
    return copied


def _finetune(config: DictConfig, data: LabelledData, model: Supervised) -> None:
    """Train with a tenth of the learning rate and keep the best weights by validation, those of the cut included."""
    rate = 0.1 * config.optimizer.lr if config.finetune.lr is None else config.finetune.lr
    model.optimizer = instantiate(config.optimizer, lr=rate)
    folder = Path(config.paths.output) / "checkpoints"
    best = ModelCheckpoint(dirpath=folder, filename="best", monitor=MONITOR, enable_version_counter=False)
    trainer = _trainer(config, config.finetune.epochs, [best])
    at_cut = copy.deepcopy(model.state_dict())
    score = trainer.validate(model, datamodule=data, verbose=False)[0][MONITOR]
    trainer.fit(model, datamodule=data)
    if best.best_model_score is not None and float(best.best_model_score) < score:
        load_weights(model, best.best_model_path)
    else:
        model.load_state_dict(at_cut)
