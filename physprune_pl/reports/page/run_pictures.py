"""Pictures of the course of a run: logged curves, what is left of the network, how steering went, and the latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from physprune_pl.history import PLANNED, History
from physprune_pl.reports.drawing import (
    ACCENT,
    AFTER,
    BEFORE,
    alive_share,
    draw_curve,
    draw_left,
    groups_of,
    label_epochs,
)
from physprune_pl.reports.page.finished_run import Curve
from physprune_pl.reports.page.themed_pictures import picture
from physprune_pl.reports.report import PruningReport
from physprune_pl.reports.wording import milliseconds, speed

# As many curves as fit on a screen; a logger may have hundreds.
MOST_CURVES = 6
OWN = "physprune/"
# Largest over smallest value from which on a linear scale shows the largest only.
WIDE = 50


def users_curves(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Return what the user's own code logged, validation before the rest, as far as there is room.

    >>> list(users_curves({"physprune/penalty": {0: 1.0}, "train_loss": {0: 1.0}, "val_acc": {0: 0.5}}))
    ['val_acc', 'train_loss']
    """
    names = sorted((name for name in curves if not name.startswith(OWN)), key=lambda name: not name.startswith("val"))
    return {name: curves[name] for name in names[:MOST_CURVES]}


def curves_picture(curves: Mapping[str, Curve], cut: float | None) -> Markup:
    """Draw logged curves below each other, epochs in common.

    Args:
        curves: at least one.
        cut: epoch at which the network was cut, where it is known.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, curve) in zip(axes, curves.items(), strict=True):
            values = np.array(list(curve.values()))
            draw_curve(axis, curve, cut)
            wide = bool(values.min() > 0 and values.max() > WIDE * values.min())
            axis.set_yscale("log" if wide else "linear")
            axis.set_title(f"{name} (log scale)" if wide else name, fontsize=9, loc="left")
        label_epochs(axes[-1])

    ends = "; ".join(f"{name} ends at {list(curve.values())[-1]:.4g}" for name, curve in curves.items())
    return picture(draw, (4.6, 0.4 + 1.3 * len(curves)), f"Logged values over the epochs: {ends}.")


def left_picture(history: History, report: PruningReport) -> Markup:
    """Draw what is left of the network: the share of its MACs, and of the channels that are not near zero."""

    def draw(figure: Any) -> None:
        draw_left(figure.subplots(), history, report.macs, report.epochs.get("macs", ()))
        figure.legend(loc="outside upper center", fontsize=8)

    share, alive = report.macs["pruned"] / report.macs["dense"], alive_share(history)
    alt = f"Share of the dense network over the epochs: MACs end at {share:.0%}, living channels at {alive[-1]:.0%}."
    return picture(draw, (4.6, 2.8), alt)


def steered(history: History) -> list[str]:
    """Return the groups of which steering chose channels, and presses some at the end of the phase or of a wave."""
    rows = _steered_rows(history)
    chosen = (name for name in groups_of(history) if f"chosen/{name}" in history)
    return [name for name in chosen if rows.any() and np.nansum(history[f"chosen/{name}"][rows][-1]) > 0]


def coefficients_picture(history: History, names: Sequence[str]) -> Markup:
    """Draw the coefficient of every group over the epochs."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        _groups_and_mean(axis, history, "group_coefficient", names)
        axis.set(yscale="log", ylabel="coefficient (log scale)")

    return picture(draw, (4.6, 3.0), f"Coefficients of {len(names)} groups over the epochs, and their mean.")


def arrival_picture(history: History, names: Sequence[str]) -> Markup:
    """Draw how far the channels to be cut are from zero, group by group, and the line that steering followed."""
    epochs = _before_the_cut(history, "epochs")

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        _groups_and_mean(axis, history, "remaining", names)
        if PLANNED in history:
            planned = _before_the_cut(history, PLANNED)[:, 0]
            axis.plot(epochs, planned, color=ACCENT, linestyle="--", marker=".", markersize=3, label="as planned")
        axis.set(ylabel="importance left, share of the start", xlim=(-0.5, epochs[-1] + 0.5))
        axis.legend(fontsize=8)

    last = max(_before_the_cut(history, f"remaining/{name}")[-1, 0] for name in names)
    alt = f"Strength left of the channels to be cut, in {len(names)} groups: at most {last:.1%} at the end."
    return picture(draw, (4.6, 3.0), alt)


def _groups_and_mean(axis: Any, history: History, kind: str, names: Sequence[str]) -> None:
    """Draw a series of every group thin, and their mean thick."""
    epochs = _before_the_cut(history, "epochs")
    series = np.column_stack([_before_the_cut(history, f"{kind}/{name}")[:, 0] for name in names])
    axis.plot(epochs, series, color=AFTER, alpha=0.35, linewidth=0.8)
    axis.plot(epochs, np.nanmean(series, axis=1), color=AFTER, linewidth=2.2, label="mean of the groups")
    label_epochs(axis)


def _before_the_cut(history: History, name: str) -> Any:
    return history[name][_steered_rows(history)]


def _steered_rows(history: History) -> Any:
    """Return which epochs were steered: of the sparsify phase, as long as something was still to be removed."""
    series = [table for name, table in history.items() if name.startswith("remaining/")]
    known = [np.isfinite(table).any(axis=1) for table in series]
    return (history["phases"] == "sparsify") & np.logical_or.reduce([np.zeros(len(history["phases"]), bool), *known])


def mean_picture(curves: Mapping[str, Curve]) -> Markup | None:
    """Draw what the loggers know of steering, for a run whose history does not tell; None if they know nothing."""
    names = {
        "physprune/steering/coefficient": "coefficient, mean of the groups",
        "physprune/steering/remaining": "importance left, share of the start, mean of the groups",
        "physprune/arrived": "share of the channels to be cut that have arrived at zero",
        "physprune/penalty": "penalty",
    }
    found = {text: curves[name] for name, text in names.items() if name in curves}
    return curves_picture(found, None) if found else None


def latency_picture(report: PruningReport) -> Markup:
    """Draw the latency of every batch size, dense and pruned; each has its own scale."""
    found = report.latency_ms

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
        for axis, (batch, cost) in zip(axes, found.items(), strict=True):
            bars = axis.barh(["dense", "pruned"], [cost["dense"], cost["pruned"]], color=[BEFORE, AFTER], height=0.62)
            axis.bar_label(bars, [milliseconds(cost[name]) for name in ("dense", "pruned")], padding=4, fontsize=8)
            axis.set_title(f"{batch.replace('_', ' ')}: {' '.join(speed(cost))}", fontsize=9, loc="left")
            axis.invert_yaxis()
            axis.margins(x=0.22)
            axis.tick_params(axis="y", length=0)
        axes[-1].set_xlabel("median milliseconds of one call")

    alt = "; ".join(
        f"{batch.replace('_', ' ')}: {milliseconds(cost['dense'])} dense, {milliseconds(cost['pruned'])} pruned"
        for batch, cost in found.items()
    )
    return picture(draw, (4.6, 0.4 + 1.1 * len(found)), f"Latency. {alt}.")
