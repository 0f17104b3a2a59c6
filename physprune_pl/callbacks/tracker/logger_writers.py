"""How the loggers that can show more than numbers take histograms and pictures: one table for both."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torch import Tensor

from physprune_pl.callbacks.trainer.lightning_classes import is_a

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Writer:
    """How a kind of logger takes what has a tag and belongs to a step.

    Attributes:
        histograms: takes the logger, values by tag, [K], and the step.
        pictures: takes the logger, pictures by tag, [height, width, 3], and the step.
    """

    histograms: Callable[[Any, Mapping[str, Tensor], int], None]
    pictures: Callable[[Any, Mapping[str, Pixels], int], None]


def writers_of(trainer: Trainer) -> list[tuple[Any, Writer]]:
    """Return the loggers of a trainer that have a place in :data:`WRITERS`; none but on the first process."""
    pairs = product(trainer.loggers, WRITERS.items()) if trainer.is_global_zero else ()
    return [(logger, writer) for logger, (kind, writer) in pairs if is_a(logger, kind)]


def _tensorboard_histograms(logger: Any, histograms: Mapping[str, Tensor], step: int) -> None:
    for tag, values in histograms.items():
        logger.experiment.add_histogram(tag, values, step)


def _tensorboard_pictures(logger: Any, pictures: Mapping[str, Pixels], step: int) -> None:
    for tag, picture in pictures.items():
        logger.experiment.add_image(tag, picture, step, dataformats="HWC")


def _wandb_histograms(logger: Any, histograms: Mapping[str, Tensor], step: int) -> None:
    # The logger is there, so its library is.
    wandb = importlib.import_module("wandb")
    logger.log_metrics({tag: wandb.Histogram(values.numpy()) for tag, values in histograms.items()}, step)


def _wandb_pictures(logger: Any, pictures: Mapping[str, Pixels], step: int) -> None:
    for tag, picture in pictures.items():
        logger.log_image(tag, [picture], step)


WRITERS = {
    "TensorBoardLogger": Writer(_tensorboard_histograms, _tensorboard_pictures),
    "WandbLogger": Writer(_wandb_histograms, _wandb_pictures),
}
"""Name of the class of a logger -> how it takes what it can show; one's own kind may be added."""
