"""The picture of a sweep: what every arm keeps of the MACs, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from physprune_pl.page.pareto import front
from physprune_pl.plots import AFTER

MARKERS = "osD^vP*Xph"


@dataclass(frozen=True)
class Point:
    """An arm in the picture.

    Attributes:
        name: for the legend.
        costs: share of the MACs that each of its runs keeps.
        scores: metric of each of its runs, the more the better.
    """

    name: str
    costs: Sequence[float]
    scores: Sequence[float]

    @property
    def place(self) -> tuple[float, float]:
        """Mean cost and mean score."""
        return mean(self.costs), mean(self.scores)

    @property
    def deviation(self) -> tuple[float, float]:
        """Standard deviation of both over the runs, 0 for a single one."""
        return _deviation(self.costs), _deviation(self.scores)


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def floor(scores: Sequence[float]) -> float:
    """Return the least score in the picture: five times as far below the best as half of all arms are.

    >>> floor([0.98, 0.97, 0.96, 0.3]) < 0.96, floor([0.98, 0.97, 0.96, 0.3]) > 0.3
    (True, True)
    """
    best, middle = max(scores), median(scores)
    return best - 5.0 * (best - middle) if middle < best else min(scores)


def draw(points: Sequence[Point], dense: Sequence[float], metric: str, path: Path) -> None:
    """Draw metric versus MACs kept: mean and standard deviation of every arm, and the Pareto front of the means.

    Arms so far below the others that these would lie on top of each other are named in the legend alone.

    Args:
        points: the arms.
        dense: metric of the dense networks, one per seed; none where it is not known.
        metric: name for the axis.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    points = [*points, Point("dense baseline", [1.0] * len(dense), dense)] if dense else points
    figure = Figure(figsize=(8, max(4.5, 0.21 * len(points))), layout="constrained")
    axis = figure.subplots()
    lowest = floor([point.place[1] for point in points])
    for number, point in enumerate(points):
        # Colours repeat after ten arms; then other markers go with them.
        _mark(axis, point, MARKERS[(number + number // len(MARKERS)) % len(MARKERS)], lowest)
    line = front([point.place for point in points])
    axis.plot(*zip(*line, strict=True), color=AFTER, linewidth=1, linestyle="--", zorder=0, label="Pareto front")
    axis.set(xlabel="MACs kept, share of the dense network", ylabel=metric)
    axis.set_title("Mean and standard deviation over the seeds", fontsize=9, loc="left")
    axis.grid(alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=120)


def _mark(axis: Any, point: Point, marker: str, lowest: float) -> None:
    style = {"marker": marker, "capsize": 3, "linestyle": "none"}
    (cost, score), (width, height) = point.place, point.deviation
    if score >= lowest:
        axis.errorbar(cost, score, height, width, label=point.name, **style)
    else:
        axis.errorbar([], [], label=f"{point.name}: {score:.2f}, below", **style)
