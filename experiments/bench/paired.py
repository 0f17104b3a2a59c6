"""Every law against uniform, seed by seed, over all committed comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import comb
from statistics import mean
from typing import Any

from experiments.bench.comparisons import LAWS
from experiments.bench.runs import AT
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.tables import markdown

Runs = Sequence[Mapping[str, Any]]
# Results, a law, and what the name of an arm has behind it (a target, or nothing) -> points, one figure per run.
Figures = Callable[[Runs, str, str], list[float]]
NULL = "uniform"
RIVALS = ("none", *(law for law in LAWS if law != NULL))


def differences(found: Runs, arm: str, null: str, phase: str = "after_finetune") -> list[float]:
    """Return by how many points an arm is over another at the end of a phase, one figure per seed that both have.

    >>> run = lambda arm, seed, score: {"arm": arm, "seed": seed, "metric": {"after_finetune": score}}
    >>> differences([run("gravity", 0, 0.75), run("uniform", 0, 0.5), run("gravity", 1, 0.5)], "gravity", "uniform")
    [25.0]
    """
    scores = {(one["arm"], one["seed"]): one["metric"][phase] for one in found}
    seeds = [seed for name, seed in scores if name == arm and (null, seed) in scores]
    return [points(scores[arm, seed] - scores[null, seed]) for seed in seeds]


def points(share: float) -> float:
    """Return a share of the test set in per cent; these have up to 10,000 pictures: what is far under one is rounding.

    >>> points(0.3 - 0.1)
    20.0
    """
    return round(100 * share, 6)


def sign_test(ahead: int, behind: int) -> float:
    """Return the probability of a result at least as lopsided where both signs are as likely; ties are left out.

    >>> sign_test(5, 0), sign_test(3, 3)
    (0.0625, 1.0)
    """
    pairs, fewer = ahead + behind, min(ahead, behind)
    lopsided = sum(comb(pairs, count) for count in range(fewer + 1))
    return min(1.0, 2 * lopsided / float(2**pairs))


def table(settings: Mapping[str, Runs]) -> str:
    """Return a row per setting and a column per law, then all pairs of runs together.

    Args:
        settings: name -> results, of arms named after their law, or ``<law> at <share>`` where targets are several.
    """
    found = per_setting(settings, RIVALS, lambda runs, law, end: differences(runs, f"{law}{end}", f"{NULL}{end}"))
    lines = [(title, *map(cell, per_law.values())) for title, per_law in found.items()]
    signs = [(sum(one > 0 for one in column), sum(one < 0 for one in column)) for column in pooled(found, RIVALS)]
    lines.append(("pairs ahead : behind", *(f"{ahead} : {behind}" for ahead, behind in signs)))
    lines.append(("sign test, p", *(f"{sign_test(*one):.2g}" for one in signs)))
    return markdown(("fine-tuned, points over uniform", *RIVALS), lines)


def per_setting(
    settings: Mapping[str, Runs], laws: Sequence[str], figures: Figures
) -> dict[str, dict[str, list[float]]]:
    """Return title -> law -> figures, for every target of every setting."""
    return {
        title: {law: figures(found, law, end) for law in laws}
        for name, found in settings.items()
        for title, end in _targets(name, found)
    }


def pooled(found: Mapping[str, Mapping[str, Sequence[float]]], laws: Sequence[str]) -> list[list[float]]:
    """Return the figures of all settings together, law by law.

    >>> pooled({"a": {"torque": [1.0]}, "b": {"torque": [2.0, 3.0]}}, ["torque"])
    [[1.0, 2.0, 3.0]]
    """
    return [[one for per_law in found.values() for one in per_law[law]] for law in laws]


def _targets(name: str, found: Runs) -> Iterator[tuple[str, str]]:
    """Yield a title, and what stands behind the law in the names of its arms, for every target of a setting."""
    shares = dict.fromkeys(one["arm"].partition(AT)[2] for one in found if one["arm"].partition(AT)[0] == NULL)
    for share in shares:
        yield (f"{name}, {float(share):.0%}", f"{AT}{share}") if share else (name, "")


def cell(figures: Sequence[float]) -> str:
    """Write mean ± standard deviation with its sign, and how many there are; a dash for none.

    >>> cell([0.5, 1.5]), cell([-1.0]), cell([])
    ('+1.00 ± 0.71 (2)', '-1.00 (1)', '-')
    """
    if not figures:
        return "-"
    sign = "+" if round(mean(figures), 2) > 0 else ""
    return f"{sign}{spread(figures, '{:z.2f}')} ({len(figures)})"
