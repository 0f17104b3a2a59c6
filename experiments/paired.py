"""Every law against uniform, seed by seed, over all committed comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import comb
from statistics import mean
from typing import Any

from experiments.bench import spread
from experiments.digits.run import LAWS
from experiments.targets.curves import AT
from physprune_pl.tables import markdown

Runs = Sequence[Mapping[str, Any]]
NULL = "uniform"
RIVALS = ("none", *(law for law in LAWS if law != NULL))


def differences(found: Runs, arm: str, null: str) -> list[float]:
    """Return by how many points an arm ends over another after fine-tuning, one figure per seed that both have.

    >>> run = lambda arm, seed, score: {"arm": arm, "seed": seed, "metric": {"after_finetune": score}}
    >>> differences([run("gravity", 0, 0.75), run("uniform", 0, 0.5), run("gravity", 1, 0.5)], "gravity", "uniform")
    [25.0]
    """
    scores = {(one["arm"], one["seed"]): one["metric"]["after_finetune"] for one in found}
    seeds = [seed for name, seed in scores if name == arm and (null, seed) in scores]
    # Test sets have up to 10,000 pictures: what is far under one is rounding.
    return [round(100 * (scores[arm, seed] - scores[null, seed]), 6) for seed in seeds]


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
    rows = {title: per_law for name, found in settings.items() for title, per_law in _rows(name, found)}
    lines = [(title, *map(_cell, per_law.values())) for title, per_law in rows.items()]
    pooled = [[points for per_law in rows.values() for points in per_law[law]] for law in RIVALS]
    signs = [(sum(one > 0 for one in points), sum(one < 0 for one in points)) for points in pooled]
    lines.append(("pairs ahead : behind", *(f"{ahead} : {behind}" for ahead, behind in signs)))
    lines.append(("sign test, p", *(f"{sign_test(*one):.2g}" for one in signs)))
    return markdown(("fine-tuned, points over uniform", *RIVALS), lines)


def _rows(name: str, found: Runs) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Yield a title and law -> differences for every target of a setting."""
    shares = dict.fromkeys(one["arm"].partition(AT)[2] for one in found if one["arm"].partition(AT)[0] == NULL)
    for share in shares:
        end = f"{AT}{share}" if share else ""
        title = f"{name}, {float(share):.0%}" if share else name
        yield title, {law: differences(found, f"{law}{end}", f"{NULL}{end}") for law in RIVALS}


def _cell(points: Sequence[float]) -> str:
    if not points:
        return "-"
    sign = "+" if round(mean(points), 2) > 0 else ""
    return f"{sign}{spread(points, '{:z.2f}')} ({len(points)})"
