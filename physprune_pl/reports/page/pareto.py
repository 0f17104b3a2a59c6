"""Runs as points of quality over cost, and the front of those that no other one beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

from markupsafe import Markup

from physprune_pl.reports.drawing import ACCENT, AFTER, MUTED
from physprune_pl.reports.page.themed_pictures import picture

Mode = Literal["max", "min"]
Place = tuple[float, float]

# Where the label of a point is, in points: neighbours by score have theirs on different sides.
SIDES = ((0, 6), (9, -3), (0, -13), (-9, -3))


@dataclass(frozen=True)
class NetworkPoint:
    """A network in the picture.

    Attributes:
        label: of its run; empty for the dense network that a pruned one was made from.
        place: cost and score.
        dense: whether nothing was cut from it.
    """

    label: str
    place: Place
    dense: bool = False


def front(places: Iterable[Place], mode: Mode = "max") -> list[Place]:
    """Return the places that no other one beats, by cost: none costs as little and scores as well.

    Args:
        places: cost and score.
        mode: ``"max"`` where a higher score is better, else ``"min"``.

    >>> front([(0.5, 0.9), (0.3, 0.8), (0.4, 0.7), (0.3, 0.6)])
    [(0.3, 0.8), (0.5, 0.9)]
    >>> front([(0.5, 0.1), (0.3, 0.2), (0.4, 0.3)], "min")
    [(0.3, 0.2), (0.5, 0.1)]
    """
    better = 1.0 if mode == "max" else -1.0
    best: list[Place] = []
    for cost, score in sorted(set(places), key=lambda place: (place[0], -better * place[1])):
        if not best or better * score > better * best[-1][1]:
            best.append((cost, score))
    return best


def front_picture(points: Sequence[NetworkPoint], mode: Mode, cost: str, score: str) -> Markup:
    """Draw the points and their front.

    Args:
        points: at least one; dense networks are hollow.
        mode: of :func:`front`.
        cost: name of the horizontal axis, with its unit.
        score: name of the vertical axis.
    """
    line = front([point.place for point in points], mode)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.plot(*zip(*line, strict=True), color=ACCENT, linestyle="--", linewidth=1.2, zorder=1, label="Pareto front")
        for name, face, dense in (("pruned", AFTER, False), ("dense", "none", True)):
            found = [point.place for point in points if point.dense is dense]
            if found:
                axis.scatter(*zip(*found, strict=True), s=34, facecolor=face, edgecolor=AFTER, zorder=2, label=name)
        for (place, label), side in zip(sorted(_labels(points).items(), key=_by_score), cycle(SIDES)):
            axis.annotate(label, place, side, textcoords="offset points", fontsize=8, color=MUTED, ha="center")
        axis.set(xlabel=cost, ylabel=score)
        axis.margins(0.12)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(True)
        figure.legend(loc="outside upper center", ncols=3, fontsize=8)

    on = ", ".join(dict.fromkeys(point.label or "a dense network" for point in points if point.place in line))
    return picture(draw, (4.6, 3.6), f"{score} over {cost} of {len(points)} networks. On the Pareto front: {on}.")


def _labels(points: Iterable[NetworkPoint]) -> dict[Place, str]:
    """Return one label for each place; of points at one place the labels would lie on each other."""
    found: dict[Place, list[str]] = {}
    for point in points:
        if point.label:
            found.setdefault(point.place, []).append(point.label)
    return {place: ", ".join(labels) for place, labels in found.items()}


def _by_score(labelled: tuple[Place, str]) -> tuple[float, float]:
    (cost, score), _ = labelled
    return score, cost
