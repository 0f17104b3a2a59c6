"""The picture of several arms: what each keeps of the costs of the dense network, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from physprune_pl.reports.drawing import AFTER
from physprune_pl.reports.page.pareto import front

MARKERS = "osD^vP*Xph"
# Costs that differ by no more than this share of one of them are about the same.
_ALIKE = 0.2


@dataclass(frozen=True)
class ArmPoint:
    """An arm in the picture.

    Attributes:
        name: for the legend.
        costs: name of a cost -> share of the dense network's that each of its runs keeps.
        scores: metric of each of its runs, the more the better.
    """

    name: str
    costs: Mapping[str, Sequence[float]]
    scores: Sequence[float]

    def place(self, cost: str) -> tuple[float, float]:
        """Return mean cost and mean score."""
        return mean(self.costs[cost]), mean(self.scores)

    def deviation(self, cost: str) -> tuple[float, float]:
        """Return the standard deviation of both over the runs, 0 for a single one."""
        return _deviation(self.costs[cost]), _deviation(self.scores)


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def floor(scores: Sequence[float]) -> float:
    """Return the least score in the picture: five times as far below the best as half of all arms are, or 15 % of it.

    >>> floor([0.98, 0.97, 0.96, 0.3]) < 0.96, floor([0.98, 0.97, 0.96, 0.3]) > 0.3
    (True, True)
    """
    best, middle = max(scores), median(scores)
    return best - max(5.0 * (best - middle), 0.15 * abs(best)) if middle < best else min(scores)


def seen(points: Sequence[ArmPoint], cost: str) -> list[ArmPoint]:
    """Return the arms that are in the picture: those that are not far below arms of about the same cost.

    >>> arms = [ArmPoint(str(kept), {"MACs": [kept]}, [score]) for kept, score in ((1, 0.9), (0.5, 0.89), (0.2, 0.5))]
    >>> [arm.name for arm in seen(arms, "MACs")]
    ['1', '0.5', '0.2']
    """
    places = [point.place(cost) for point in points]
    lowest = [floor([score for other, score in places if abs(other - own) <= _ALIKE * own]) for own, _ in places]
    return [point for point, (_, score), least in zip(points, places, lowest, strict=True) if score >= least]


def draw(points: Sequence[ArmPoint], dense: Sequence[float], metric: str, path: Path) -> None:
    """Draw metric versus every cost: mean and standard deviation of every arm, and the Pareto front of the means.

    Arms so far below others of about the same cost that these would lie on top of each other are named in the legend
    alone.

    Args:
        points: the arms, at least one, all with the same costs.
        dense: metric of the dense networks, one per seed; none where it is not known.
        metric: name for the axis.
        path: file to write, its ending names the format.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    costs = list(points[0].costs)
    baseline = ArmPoint("dense baseline", dict.fromkeys(costs, [1.0] * len(dense)), dense)
    points = [*points, baseline] if dense else points
    figure = Figure(figsize=(4.5 + 3.5 * len(costs), max(4.5, 0.21 * len(points))), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axis, cost in zip(panels, costs, strict=True):
        _panel(axis, points, cost)
    panels[0].set_ylabel(metric)
    panels[0].set_title("Mean and standard deviation over the seeds", fontsize=9, loc="left")
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=120)


def _panel(axis: Any, points: Sequence[ArmPoint], cost: str) -> None:
    inside = seen(points, cost)
    for number, point in enumerate(points):
        # Colours repeat after ten arms; then other markers go with them.
        _mark(axis, point, cost, MARKERS[(number + number // len(MARKERS)) % len(MARKERS)], point in inside)
    line = front([point.place(cost) for point in inside])
    axis.plot(*zip(*line, strict=True), color=AFTER, linewidth=1, linestyle="--", zorder=0, label="Pareto front")
    axis.set_xlabel(f"{cost}, share of the dense network")
    axis.grid(alpha=0.3)


def _mark(axis: Any, point: ArmPoint, cost: str, marker: str, inside: bool) -> None:
    style = {"marker": marker, "capsize": 3, "linestyle": "none"}
    (place, score), (width, height) = point.place(cost), point.deviation(cost)
    if inside:
        axis.errorbar(place, score, height, width, label=point.name, **style)
    else:
        axis.errorbar([], [], label=f"{point.name}: {score:.2f}, below", **style)
