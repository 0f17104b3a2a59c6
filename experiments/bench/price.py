"""What pressing and cutting cost before any fine-tuning, over all committed comparisons, against the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.bench.comparisons import LAWS
from experiments.bench.paired import Runs, cell, differences, per_setting, points, pooled
from physprune_pl.reports.tables import markdown

# Trained as long as the others are pressed, with the same schedule, and pressed by nothing.
UNPRESSED = "none"
# Points of test accuracy that the phase under force, and the cut, may cost.
PHASE, CUT = 0.3, 0.2


def phase_cost(found: Runs, law: str, end: str = "") -> list[float]:
    """Return by how many points a law is under the unpressed network of the same seed and epochs, before the cut.

    >>> run = lambda arm, score: {"arm": arm, "seed": 0, "metric": {"after_sparsify": score}}
    >>> phase_cost([run("none", 0.75), run("gravity", 0.5)], "gravity")
    [25.0]
    """
    over = differences(found, f"{law}{end}", f"{UNPRESSED}{end}", "after_sparsify")
    return [0.0 - one for one in over]


def cut_cost(found: Runs, law: str, end: str = "") -> list[float]:
    """Return how many points each run of a law lost by the cut alone.

    >>> cut_cost([{"arm": "torque", "metric": {"after_sparsify": 0.75, "after_cut": 0.5}}], "torque")
    [25.0]
    """
    scores = [one["metric"] for one in found if one["arm"] == f"{law}{end}"]
    return [points(score["after_sparsify"] - score["after_cut"]) for score in scores]


def table(settings: Mapping[str, Runs]) -> str:
    """Return both costs, a row per setting and a column per law, and how many runs keep to the goal.

    Args:
        settings: as :func:`experiments.bench.paired.table` takes them.
    """
    phase = per_setting(settings, LAWS, phase_cost)
    cut = per_setting(settings, (UNPRESSED, *LAWS), cut_cost)
    return "\n".join(
        (
            _costs("lost by the phase under force", phase, LAWS, PHASE),
            _costs("lost by the cut", cut, (UNPRESSED, *LAWS), CUT),
        )
    )


def _costs(title: str, found: Mapping[str, Mapping[str, list[float]]], laws: Sequence[str], goal: float) -> str:
    lines = [(name, *map(cell, per_law.values())) for name, per_law in found.items()]
    columns = pooled(found, laws)
    kept = (f"{sum(one <= goal for one in column)} of {len(column)}" for column in columns)
    return markdown((f"{title}, points", *laws), [*lines, (f"runs that lost {goal} at most", *kept)])
