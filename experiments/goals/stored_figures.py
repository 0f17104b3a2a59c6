"""The one file of figures, and the page that is written from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.bench.runs import write_table
from experiments.goals.table import page
from experiments.training.sweeps.figures import hardware
from physprune_pl.reports.report import versions

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
COMMAND = "python -m experiments.goals."
Row = dict[str, Any]


def merged(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Replace rows of the same network, way and batch size.

    >>> merged([{"network": "a", "way": "eager", "batch": 1, "x": 1}], [{"network": "a", "way": "eager", "batch": 1}])
    [{'network': 'a', 'way': 'eager', 'batch': 1}]
    """
    rows = {_key(row): row for row in [*before, *new]}
    return [rows[key] for key in sorted(rows)]


def _key(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["network"], row.get("way", ""), row.get("batch", 0)


def keep(script: str, row: Row) -> None:
    """Put a row, with the command that measures it, in the place of the one before it."""
    before = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else []
    found = {"hardware": hardware(), "versions": versions()}
    rows = merged(before, [row | {"command": COMMAND + script}])
    RESULTS.write_text(json.dumps({**found, "results": rows}, indent=1) + "\n")
    print(row, flush=True)


def write_page() -> None:
    """Write the tables of README.md from what is stored."""
    write_table(FOLDER / "README.md", page(json.loads(RESULTS.read_text())["results"]))
