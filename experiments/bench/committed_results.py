"""The results that were committed, and of which comparisons."""

from __future__ import annotations

from pathlib import Path

from experiments.bench.comparisons import COMPARISONS
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Result, stored

FOLDER = Path(__file__).parents[1]
DATA_SETS = tuple(COMPARISONS)


def comparison(name: str) -> LawComparison:
    """Return a comparison by its name."""
    return COMPARISONS[name]


def results(name: str) -> list[Result]:
    """Return the committed results of an experiment, none where nothing was run."""
    return stored(FOLDER / name / "results.json")
