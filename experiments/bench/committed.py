"""The comparisons of this repository, and the results that were committed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from experiments.bench.compare import Comparison
from experiments.bench.runs import Result, stored

FOLDER = Path(__file__).parent


def comparison(name: str) -> Comparison:
    """Return the comparison of ``experiments/<name>/run.py``."""
    found: Comparison = import_module(f"experiments.{name}.run").COMPARISON
    return found


def results(name: str) -> list[Result]:
    """Return the committed results of an experiment, none where nothing was run."""
    return stored(FOLDER / name / "results.json")
