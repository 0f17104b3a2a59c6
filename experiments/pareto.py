"""The picture of a sweep: what every arm keeps of the MACs, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

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


def draw(points: Sequence[Point], dense: Sequence[float], metric: str, path: Path) -> None:
    """Draw metric versus MACs kept: mean and standard deviation of every arm, and the Pareto front of the means.

    Args:
        points: the arms.
        dense: metric of the dense networks, one per seed; none where it is not known.
        metric: name for the axis.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.subplots()
    points = [*points, Point("dense baseline", [1.0] * len(dense), dense)] if dense else points
    for number, point in enumerate(points):
        (cost, score), (width, height) = point.place, point.deviation
        marker = MARKERS[number % len(MARKERS)]
        axis.errorbar(cost, score, height, width, marker=marker, capsize=3, linestyle="none", label=point.name)
    line = front([point.place for point in points])
    axis.plot(*zip(*line, strict=True), color=AFTER, linewidth=1, linestyle="--", zorder=0, label="Pareto front")
    axis.set(xlabel="MACs kept, share of the dense network", ylabel=metric)
    axis.set_title("Mean and standard deviation over the seeds", fontsize=9, loc="left")
    axis.grid(alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=120)
