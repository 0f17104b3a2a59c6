"""What the report of a run of train.py says of its network and data: both can be made without Hydra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from experiments.training.data import LabelledData
from physprune_pl import PruningReport
from physprune_pl.networks.example import Example
from physprune_pl.networks.input_words import input_words
from physprune_pl.reports.fit_facts import FitFacts


def facts_of_run(config: DictConfig, data: LabelledData, report: PruningReport, trainer: L.Trainer) -> FitFacts:
    """Return the facts of a run: those of its fit, with the bare network in place of the module around it.

    Args:
        config: of the run.
        data: says what the network takes and puts out.
        report: of the fit; that of a dense network knows none of its facts.
        trainer: of the fit.
    """
    node: Any = OmegaConf.to_container(config.model, resolve=True)
    origin, _, name = node["_target_"].rpartition(".")
    settings = {key: value for key, value in node.items() if not key.startswith("_") and key != "weights"}
    facts = report.facts
    return replace(
        facts,
        network=name,
        data=type(data).__name__,
        epochs=facts.epochs or {"train": trainer.current_epoch},
        factory=f"{origin}:{name}",
        home="",
        arguments={**settings, **data.sizes},
        complete=True,
        part="",
        inputs=input_words(Example.of(data.example(1))),
        checkpoint=facts.checkpoint or _saved(trainer),
    )


def _saved(trainer: L.Trainer) -> str:
    callback = trainer.checkpoint_callback
    return callback.best_model_path if isinstance(callback, ModelCheckpoint) else ""
