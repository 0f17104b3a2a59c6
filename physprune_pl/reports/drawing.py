"""What all pictures have in common: the library, its colours, and the strengths of a group over the epochs.

``history`` is what :meth:`physprune_pl.ChannelTracker.history` returns, or the same file read by ``numpy.load``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from physprune_pl.history import History
from physprune_pl.reports.concentration import near_zero

# Grey, blue and vermilion: apart for every kind of colour vision, and in a grey print.
BEFORE, AFTER, ACCENT = "#c3ccd6", "#0069b0", "#c75000"


def library() -> Any:
    """Return matplotlib.

    Raises:
        ModuleNotFoundError: when it is missing; the message says how to get it.
    """
    try:
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("pictures need matplotlib: pip install 'physprune_pl[experiments]'") from error
    return matplotlib


def figure_of(size: tuple[float, float]) -> Any:
    """Make a figure, in inches, that no window system and no global state of pyplot knows of."""
    return library().figure.Figure(figsize=size, layout="constrained")


def groups_of(history: History) -> list[str]:
    """Return the names of the groups of a history.

    >>> groups_of({"epochs": np.arange(1), "strength/stem": np.ones((1, 4)), "l1/stem": np.ones((1, 4))})
    ['stem']
    """
    return [key.removeprefix("strength/") for key in history if key.startswith("strength/")]


def draw_strengths(axis: Any, history: History, name: str) -> Any:
    """Draw the strengths of one group over the epochs as shares of the largest; return the image."""
    strength = history[f"strength/{name}"]
    largest = np.nanmax(strength) or 1.0
    epochs = history["epochs"]
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, -0.5, strength.shape[1] - 0.5)
    for side in (axis.xaxis, axis.yaxis):
        side.get_major_locator().set_params(integer=True)
    shares = strength.T / largest
    # Nearest: smoothing would draw a haze where channels are cut from one epoch to the next.
    return axis.imshow(shares, aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1, interpolation="nearest")


def alive_share(history: History) -> NDArray[np.float64]:
    """Return the share of the channels, per epoch, that are not near zero; removed ones count as gone."""
    tables = [torch.as_tensor(history[f"strength/{name}"]) for name in groups_of(history)]
    alive = torch.stack([(~near_zero(table) & ~table.isnan()).sum(dim=1) for table in tables]).sum(dim=0).numpy()
    total: int = sum(table.shape[1] for table in tables)
    return np.asarray(alive / total, dtype=np.float64)
