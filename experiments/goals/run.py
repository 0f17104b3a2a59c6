"""Measure, and write all goals with the figures beside them: ``python -m experiments.goals.run [--network NAME]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.bench import hardware, write_table
from experiments.goals.measuring import WAYS, Row, measured
from experiments.goals.table import page
from physprune_pl.report import versions

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
NETWORKS = ("resnet50", "vgg19")
COMMAND = "python -m experiments.goals.run"


def merged(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Replace rows of the same network, way and batch size.

    >>> merged([{"network": "a", "way": "eager", "batch": 1, "x": 1}], [{"network": "a", "way": "eager", "batch": 1}])
    [{'network': 'a', 'way': 'eager', 'batch': 1}]
    """
    rows = {_key(row): row for row in [*before, *new]}
    return [rows[key] for key in sorted(rows)]


def _key(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["network"], row.get("way", ""), row.get("batch", 0)


def main() -> None:
    """Measure the networks and ways that are asked for, after each row, so that what is cut short is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", nargs="*", default=NETWORKS, choices=NETWORKS, help="none: only write the table")
    parser.add_argument("--way", nargs="+", default=list(WAYS), choices=list(WAYS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.network:
        for row in measured(name, {way: WAYS[way] for way in chosen.way}):
            before = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else []
            found = {"command": COMMAND, "hardware": hardware(), "versions": versions()}
            RESULTS.write_text(json.dumps({**found, "results": merged(before, [row])}, indent=1) + "\n")
            print(row, flush=True)
    write_table(FOLDER / "README.md", page(json.loads(RESULTS.read_text())["results"]))


if __name__ == "__main__":
    main()
