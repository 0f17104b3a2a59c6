"""Accuracy over what a network keeps of its MACs and of its time, one curve per law."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from experiments.targets.curves import Runs, curves
from experiments.training.sweeps.arm_picture import MARKERS
from experiments.training.sweeps.figures import ArmFigures

COSTS = {"MACs kept": "macs", "time taken, batches of 32": "batch_32"}

TICKS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def draw(found: Runs, path: Path) -> None:
    """Draw test accuracy after fine-tuning over both costs, as shares of the dense network's.

    Every point is the mean over the seeds of one law at one target, the bar its standard deviation.

    Args:
        found: results of the runs, the dense ones among them.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, len(COSTS), sharey=True)
    dense = mean(ArmFigures.of([one for one in found if one["arm"] == "dense"]).scores("dense"))
    for axis, (name, cost) in zip(panels, COSTS.items(), strict=True):
        for marker, (law, points) in zip(MARKERS, curves(found).items(), strict=False):
            _line(axis, law, list(points.values()), cost, marker)
        axis.axhline(dense, color="grey", linewidth=1, linestyle=":", label="dense")
        axis.set_xlabel(f"{name}, share of the dense network")
        axis.set_xscale("log")
        axis.set_xticks(TICKS, [f"{tick:.0%}" for tick in TICKS])
        axis.minorticks_off()
        axis.set_xlim(*_range(found, cost))
        axis.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy (test)")
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=120)


def _range(found: Runs, cost: str) -> tuple[float, float]:
    """Return a little less and more than the runs keep: an axis would otherwise reach over all its ticks."""
    runs = [run for points in curves(found).values() for runs in points.values() for run in runs]
    shares = ArmFigures.of(runs).kept(cost)
    return 0.9 * min(shares), 1.1 * max(shares)


def _line(axis: Any, law: str, points: Sequence[Runs], cost: str, marker: str) -> None:
    arms = list(map(ArmFigures.of, points))
    scores = [arm.scores("after_finetune") for arm in arms]
    bars = [stdev(values) if len(values) > 1 else 0.0 for values in scores]
    places = [mean(arm.kept(cost)) for arm in arms]
    axis.errorbar(places, list(map(mean, scores)), bars, label=law, marker=marker, capsize=3, linewidth=1)
