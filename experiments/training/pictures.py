"""Three pictures of a run: strengths over the epochs, widths before and after, metric and compression.

``history`` is what :meth:`physprune_pl.ChannelTracker.history` returns, or the same file read by ``numpy.load``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from physprune_pl.history import History
from physprune_pl.reports.drawing import (
    cut_epoch,
    draw_curve,
    draw_left,
    draw_strengths,
    draw_widths,
    figure_of,
    groups_of,
)
from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.reports.report import PruningReport


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
    draw_widths(axis, report.groups, [f"{one['name']}: {one['before']} → {one['after']}" for one in report.groups])
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
    draw_curve(upper, metric, cut_epoch(history))
    upper.set_ylabel(f"{report.metric.get('name', 'metric')} (validation)")
    upper.set_title(_summary(report), fontsize=8, loc="left", pad=16)  # above the word at the cut
    draw_left(lower, history, report.macs, report.epochs.get("macs", ()))
    lower.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def _ratio(cost: Mapping[str, int]) -> str:
    return f"{cost['dense'] / cost['pruned']:.2f}x"


def _summary(report: PruningReport) -> str:
    """Return the metric after every phase, three to a line: a title does not wrap by itself."""
    scores = [(text, report.metric.get(key)) for key, text in PHASES.items()]
    known = [f"{text} {value:.4f}" for text, value in scores if value is not None]
    lines = [", ".join(known[start : start + 3]) for start in range(0, len(known), 3)]
    return f"{report.metric.get('split', 'val')}: " + ",\n".join(lines)
