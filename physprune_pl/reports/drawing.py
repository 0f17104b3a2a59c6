"""What the pictures of a run show, drawn on the axes that files and pages lay out: strengths, widths, what is left.

``history`` is what :meth:`physprune_pl.ChannelTracker.history` returns, or the same file read by ``numpy.load``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from physprune_pl.history import History
from physprune_pl.reports.concentration import near_zero

# Grey, blue and vermilion: apart for every kind of colour vision, and in a grey print.
BEFORE, AFTER, ACCENT = "#c3ccd6", "#0069b0", "#c75000"
MUTED = "#5b6571"


def library() -> Any:
    """Return matplotlib.

    Raises:
        ModuleNotFoundError: when it is missing; the message says how to get it.
    """
    try:
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("pictures need matplotlib: pip install 'physprune_pl[report]'") from error
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


def draw_widths(axis: Any, groups: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Draw the groups of a report from the first (top) to the last, each as wide as it has channels before and after.

    Args:
        axis: without its own ticks from left to right: bars are centred.
        groups: of a report.
        names: to show, one for each group.
    """
    places = range(len(groups))
    for key, colour in (("before", BEFORE), ("after", AFTER)):
        sizes = [int(group[key]) for group in groups]
        axis.barh(places, sizes, left=[-size / 2 for size in sizes], height=0.72, color=colour, label=key)
    axis.set(ylim=(len(groups) - 0.4, -0.6), xticks=[])
    axis.set_yticks(places, names, fontsize=7.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def draw_curve(axis: Any, curve: Mapping[int, float], cut: float | None) -> None:
    """Draw a logged value over the epochs; where the cut is known, mark it and shade what comes after it."""
    axis.plot(list(curve), list(curve.values()), color=AFTER, marker=".", markersize=4, linewidth=1.2)
    if cut is not None and max(curve) > cut:
        axis.axvspan(cut, max(curve) + 0.5, color=BEFORE, alpha=0.35, linewidth=0)
    mark_cut(axis, cut)


def draw_left(axis: Any, history: History, macs: Mapping[str, int], by_epoch: Sequence[float] = ()) -> None:
    """Draw what is left of the network: the share of its MACs, and of the channels that are not near zero.

    Args:
        axis: to draw on.
        history: of the run.
        macs: of the dense and of the pruned network.
        by_epoch: of the network in each epoch; where they are not known all was removed at the end of the phase.
    """
    epochs, pruned = history["epochs"], history["phases"] == "finetune"
    kept = np.where(pruned, macs["pruned"] / macs["dense"], 1.0)
    if len(by_epoch) > max(epochs, default=0):
        kept = np.array([by_epoch[epoch] / macs["dense"] for epoch in epochs])
    axis.step(epochs, kept, where="mid", color=AFTER, label="MACs")
    axis.plot(epochs, alive_share(history), color=ACCENT, linestyle="--", label="channels over 1 % of the strongest")
    axis.set(ylim=(0, 1.05), ylabel="share of the dense network")
    mark_cut(axis, cut_epoch(history))
    label_epochs(axis)


def cut_epoch(history: History) -> float | None:
    """Return where on the axis of epochs the cut was, if an epoch after it is recorded.

    >>> cut_epoch({"epochs": np.array([0, 1, 2]), "phases": np.array(["sparsify", "sparsify", "finetune"])})
    1.5
    """
    after = history["epochs"][history["phases"] == "finetune"]
    return float(after[0]) - 0.5 if len(after) else None


def mark_cut(axis: Any, cut: float | None) -> None:
    """Draw a line where the network was cut, if that is known."""
    if cut is None:
        return
    axis.axvline(cut, color=MUTED, linestyle=":", linewidth=1.2)
    place = {"xycoords": ("data", "axes fraction"), "va": "bottom", "ha": "center"}
    axis.annotate("cut", (cut, 1), fontsize=7, color=MUTED, **place)


def label_epochs(axis: Any) -> None:
    """Count epochs along an axis, in whole numbers."""
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
