"""Three pictures of a run: strengths over the epochs, widths before and after, metric and compression.

``history`` is what :meth:`physprune_pl.ChannelTracker.history` returns, or the same file read by ``numpy.load``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from physprune_pl.history import History
from physprune_pl.reports.concentration import near_zero
from physprune_pl.reports.report import PHASES, PruningReport

# Grey, blue and vermilion: apart for every kind of colour vision, and in a grey print.
BEFORE, AFTER, ACCENT = "#c3ccd6", "#0069b0", "#c75000"


def plot_strengths(history: History, path: str | Path, columns: int = 6) -> None:
    """Draw the strength of every channel over the epochs, one panel per group, channels by index from bottom to top.

    Colours are shares of the largest strength that the group ever had; removed channels are blank.

    Args:
        history: of a tracker, with at least one group.
        path: file to write, its ending names the format.
        columns: panels in a row.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
        ValueError: when the history holds no group.
    """
    names = groups_of(history)
    if not names:
        raise ValueError("history: expected series named 'strength/<group>', got none")
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    figure = figure_of((2.1 * columns + 1, 1.7 * rows + 0.6))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axis, name in zip(axes.flat, names, strict=False):
        image = draw_strengths(axis, history, name)
        axis.set_title(name, fontsize=7)
        axis.tick_params(labelsize=6)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("channel", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, label="share of the largest").ax.tick_params(labelsize=7)
    figure.savefig(path, dpi=120)


def plot_widths(report: PruningReport, path: str | Path) -> None:
    """Draw the number of channels of every group before and after the cut.

    Args:
        report: of the run, with at least one group.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
        ValueError: when the report holds no group.
    """
    if not report.groups:
        raise ValueError("report: expected at least one group, got none")
    figure = figure_of((7, 0.24 * len(report.groups) + 1.2))
    axis = figure.subplots()
    places = range(len(report.groups))
    axis.barh(places, [group["before"] for group in report.groups], color=BEFORE, label="before")
    axis.barh(places, [group["after"] for group in report.groups], color=AFTER, height=0.5, label="after")
    axis.set_yticks(places, [group["name"] for group in report.groups], fontsize=7)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set_xlabel("channels")
    axis.set_title(f"MACs {_ratio(report.macs)}, parameters {_ratio(report.params)} fewer", fontsize=10, loc="left")
    figure.legend(frameon=False, loc="outside lower right", ncols=2)
    figure.savefig(path, dpi=120)


def plot_run(history: History, metric: Mapping[int, float], report: PruningReport, path: str | Path) -> None:
    """Draw the validation metric by epoch above, and what is left of the network below.

    Below: the share of MACs, which falls at the cut, and the share of channels whose strength is over 1 % of the
    largest of their group, which the force brings down before.

    Args:
        history: of a tracker.
        metric: epoch -> validation metric.
        report: of the run.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    figure = figure_of((7, 5))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(list(metric), list(metric.values()), color=AFTER, marker=".")
    upper.set_ylabel(f"{report.metric.get('name', 'metric')} (validation)")
    upper.set_title(_summary(report), fontsize=8, loc="left")
    epochs = history["epochs"]
    cut = history["phases"] == "finetune"
    share = report.macs["pruned"] / report.macs["dense"]
    lower.step(epochs, np.where(cut, share, 1.0), where="mid", color=AFTER, label="MACs")
    lower.plot(epochs, alive_share(history), color=ACCENT, label="channels over 1 % of the largest")
    lower.set(ylim=(0, 1.05), xlabel="epoch", ylabel="share of dense")
    lower.xaxis.get_major_locator().set_params(integer=True)
    lower.legend(frameon=False, fontsize=8)
    if cut.any():
        for axis in (upper, lower):
            axis.axvline(float(epochs[cut][0]) - 0.5, color="grey", linestyle=":", linewidth=1)
    figure.savefig(path, dpi=120)


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


def _ratio(cost: Mapping[str, int]) -> str:
    return f"{cost['dense'] / cost['pruned']:.2f}x"


def _summary(report: PruningReport) -> str:
    """Return the metric after every phase, three to a line: a title does not wrap by itself."""
    scores = [(text, report.metric.get(key)) for key, text in PHASES.items()]
    known = [f"{text} {value:.4f}" for text, value in scores if value is not None]
    lines = [", ".join(known[start : start + 3]) for start in range(0, len(known), 3)]
    return f"{report.metric.get('split', 'val')}: " + ",\n".join(lines)
