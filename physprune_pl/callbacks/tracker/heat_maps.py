"""Heat maps of the strengths over a whole fit, for the loggers that can show a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from physprune_pl.callbacks.tracker.logger_writers import Pixels, writers_of
from physprune_pl.history import History

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
    """Give a heat map of every group to every logger that can show one, on the first process.

    The pictures are ``physprune/heat_map/<group>``, at the trainer's global step.

    Args:
        trainer: of the fit.
        history: arrays of :meth:`~physprune_pl.ChannelTracker.history`.
    """
    writers = writers_of(trainer)
    if not writers:
        return
    groups = {name: values for name, values in history.items() if name.startswith("strength/") and values.size}
    pictures = {name.replace("strength/", "physprune/heat_map/", 1): heat_map(each) for name, each in groups.items()}
    for logger, writer in writers:
        writer.pictures(logger, pictures, trainer.global_step)
