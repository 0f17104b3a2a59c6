"""Heat maps of the strengths over a whole fit, for the loggers that can show a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.history import History

Pixels = NDArray[np.uint8]
Pictures = Mapping[str, Pixels]

GONE = (213, 94, 0)
"""Red, green and blue of a channel that is no longer there; told from any grey by those who see no red, too."""
SIDE = 256
"""Pixels that the longer side of a picture has at least, as channels and epochs of one pixel are hard to see."""


def heat_map(strengths: NDArray[Any]) -> Pixels:
    """Return a picture of a group: a row for every channel, a column for every epoch, white where it is strongest.

    Args:
        strengths: [E, K]; NaN where a channel was gone.

    Returns:
        [height, width, 3], from 0 to 255.

    >>> heat_map(np.array([[1.0, 2.0], [np.nan, 4.0]]))[::128, ::128].tolist()
    [[[64, 64, 64], [213, 94, 0]], [[128, 128, 128], [255, 255, 255]]]
    """
    rows = np.asarray(strengths, dtype=np.float64).T
    known = np.isfinite(rows)
    strongest = max(rows[known].max(initial=0.0), np.finfo(np.float64).tiny)
    grey = np.rint(255.0 * np.where(known, rows, 0.0) / strongest)
    picture = np.where(known[..., None], grey[..., None], np.array(GONE)).astype(np.uint8)
    times = -(-SIDE // max(rows.shape))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def log_heat_maps(trainer: Trainer, history: History) -> None:
    """Give a heat map of every group to every logger that has a place in :data:`WRITERS`, on the first process.

    The pictures are ``physprune/heat_map/<group>``, at the trainer's global step.

    Args:
        trainer: of the fit.
        history: arrays of :meth:`~physprune_pl.ChannelTracker.history`.
    """
    pairs = product(trainer.loggers, WRITERS.items())
    writers = [(logger, write) for logger, (kind, write) in pairs if is_a(logger, kind)]
    if not writers or not trainer.is_global_zero:
        return
    groups = {name: values for name, values in history.items() if name.startswith("strength/") and values.size}
    pictures = {name.replace("strength/", "physprune/heat_map/", 1): heat_map(each) for name, each in groups.items()}
    for logger, write in writers:
        write(logger, pictures, trainer.global_step)


def _tensorboard(logger: Any, pictures: Pictures, step: int) -> None:
    for tag, picture in pictures.items():
        logger.experiment.add_image(tag, picture, step, dataformats="HWC")


def _wandb(logger: Any, pictures: Pictures, step: int) -> None:
    for tag, picture in pictures.items():
        logger.log_image(tag, [picture], step)


WRITERS: dict[str, Callable[[Any, Pictures, int], None]] = {
    "TensorBoardLogger": _tensorboard,
    "WandbLogger": _wandb,
}
"""Name of the class of a logger -> how it takes pictures; one's own kind may be added."""
