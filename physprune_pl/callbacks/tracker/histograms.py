"""Histograms of the strengths, for the loggers that can show one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from physprune_pl.callbacks.trainer.lightning_classes import is_a

Histograms = Mapping[str, Tensor]


def log_histograms(trainer: Trainer, strengths: Histograms) -> None:
    """Give the strengths to every logger of the trainer that has a place in :data:`WRITERS`, on the first process.

    The histograms are ``physprune/strengths`` (all channels) and ``physprune/strengths/<group>``, at the trainer's
    global step. Values that are not finite, as after a divergence, have no place in a histogram and are left out.

    Args:
        trainer: of the fit; loggers that it replaced, as in a ``fast_dev_run``, get nothing.
        strengths: group -> strengths of its channels, [K].
    """
    pairs = product(trainer.loggers, WRITERS.items())
    writers = [(logger, write) for logger, (kind, write) in pairs if is_a(logger, kind)]
    if not writers or not trainer.is_global_zero:
        return
    named = {f"physprune/strengths/{name}": values for name, values in strengths.items()}
    named["physprune/strengths"] = torch.cat(list(strengths.values()))
    finite = {tag: values[values.isfinite()] for tag, values in named.items()}
    drawable = {tag: values for tag, values in finite.items() if len(values) > 0}
    for logger, write in writers:
        write(logger, drawable, trainer.global_step)


def _tensorboard(logger: Any, histograms: Histograms, step: int) -> None:
    for tag, values in histograms.items():
        logger.experiment.add_histogram(tag, values, step)


def _wandb(logger: Any, histograms: Histograms, step: int) -> None:
    # The logger is there, so its library is.
    wandb = importlib.import_module("wandb")
    logger.log_metrics({tag: wandb.Histogram(values.numpy()) for tag, values in histograms.items()}, step)


WRITERS: dict[str, Callable[[Any, Histograms, int], None]] = {
    "TensorBoardLogger": _tensorboard,
    "WandbLogger": _wandb,
}
"""Name of the class of a logger -> how it takes histograms; one's own kind may be added."""
