"""Runs that differ by nothing but their seed, and the means of their figures."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev

from physprune_pl.reports.figures import RunFigures
from physprune_pl.reports.report import PruningReport
from physprune_pl.reports.wording import score

HEAD = ("law", "settings", "runs", "seeds", "MACs kept", "faster", "final", "standard deviation")

_SEED = re.compile(r"\+*(--)?seed=.*")


def law_of(report: PruningReport) -> str:
    """Return the law of a run in a word; a dash where the report is older than its facts."""
    facts = report.facts
    return facts.law or ("none" if facts.network else "-")


def alike(labels: Iterable[str], reports: Iterable[PruningReport]) -> dict[tuple[str, ...], list[str]]:
    """Return the labels of the runs by their settings: the words of the command but the seed, law, target, epochs."""
    found: dict[tuple[str, ...], list[str]] = {}
    for label, report in zip(labels, reports, strict=True):
        facts = report.facts
        key = (law_of(report), facts.aim, facts.length, *_words(report.command))
        found.setdefault(key, []).append(label)
    return found


def _words(command: str) -> list[str]:
    """Return the words of a command without its seed.

    >>> _words("python train.py force=gravity seed=1"), _words("python fit.py --seed 3 --law x")
    (['python', 'train.py', 'force=gravity'], ['python', 'fit.py', '--law', 'x'])
    """
    words = shlex.split(command)
    given = {place + 1 for place, word in enumerate(words) if word == "--seed"}
    kept = (word for place, word in enumerate(words) if place not in given and word != "--seed")
    return [word for word in kept if not _SEED.fullmatch(word)]


def seed_rows(reports: Mapping[str, PruningReport]) -> list[tuple[str, ...]]:
    """Return one row under :data:`HEAD` for each setting; none where no setting was run twice.

    Args:
        reports: label of a run -> its report.
    """
    groups = alike(reports, reports.values())
    if all(len(labels) == 1 for labels in groups.values()):
        return []
    return [_row([reports[label] for label in labels], labels) for labels in groups.values()]


def _row(runs: Sequence[PruningReport], labels: Sequence[str]) -> tuple[str, ...]:
    first, figures = runs[0], [RunFigures.of(run) for run in runs]
    name = str(first.metric.get("name", "metric"))
    batch = next(iter(first.latency_ms), None)
    faster = [one.less(batch) for one in figures if batch in one.costs] if batch else []
    final = [one.final for one in figures if one.final is not None]
    return (
        law_of(first),
        ", ".join(filter(None, [first.facts.aim, first.facts.length])) or "-",
        " ".join(labels),
        ", ".join(str(run.seed) for run in runs if run.seed is not None) or "-",
        f"{100 * mean(one.kept('macs') for one in figures):.1f}%",
        f"{mean(faster):.2f}x" if faster else "-",
        score(name, mean(final)) if final else "-",
        score(name, stdev(final)) if len(final) > 1 else "-",
    )
