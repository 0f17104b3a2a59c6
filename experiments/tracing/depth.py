"""Measures how the trace grows with depth, what memory it takes, and whether that is less than an older build takes.

``python -m experiments.tracing.depth --before FOLDER`` runs both builds in turns: the folder is a checkout.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from experiments.bench.runs import save
from experiments.tracing.one_trace import NETWORKS
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "depth.json"
COMMAND = "python -m experiments.tracing.depth --before FOLDER"
BOTH = ("resnet110", "vit_b_16")
"""What the other build is measured on too."""

Row = dict[str, Any]


def traced(name: str, build: Path) -> Row:
    """Return what a trace takes with a build, in a process of its own on one thread."""
    environment = {**os.environ, "PYTHONPATH": str(build), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / "one_trace.py"), name]
    found: Row = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    return found


def row(name: str, now: Sequence[Row], before: Sequence[Row]) -> Row:
    """Return the medians of runs of one network, with this build and with the other.

    >>> one, other = {"processor_seconds": 1.0, "peak_over_model": 2.0}, {"processor_seconds": 4.0}
    >>> row("net", [one], [other])["ratio"]
    0.25
    """
    seconds = median(one["processor_seconds"] for one in now)
    earlier = median(one["processor_seconds"] for one in before) if before else None
    peaks = [one["peak_over_model"] for one in now if one["peak_over_model"] is not None]
    return {
        "network": name,
        "processor_seconds": seconds,
        "before": earlier,
        "ratio": None if earlier is None else seconds / earlier,
        "peak_over_model": median(peaks) if peaks else None,
        "runs": len(now),
    }


def growth(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return by what the trace of a residual network gets dearer from 56 to 218 layers, for every doubling."""
    seconds = {one["network"]: one["processor_seconds"] for one in rows}
    if not {"resnet56", "resnet218"} <= seconds.keys():
        return None
    return float((seconds["resnet218"] / seconds["resnet56"]) ** (1 / math.log2(218 / 56)))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as Markdown, and the growth with depth."""
    head = ("network", "processor seconds", "of the build before", "ratio", "peak over the model / parameters", "runs")
    keys = ("processor_seconds", "before", "ratio", "peak_over_model")
    body = [(one["network"], *(_cell(one[key]) for key in keys), str(one["runs"])) for one in rows]
    grown = growth(rows)
    said = "" if grown is None else f"\nFrom ResNet-56 to ResNet-218, every doubling of depth costs {grown:.2f}x.\n"
    return markdown(head, body) + said


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Trace each network with both builds in turns, and write depth.json and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--runs", type=int, default=3, help="traces of every network")
    parser.add_argument("--only", nargs="+", default=[*NETWORKS], choices=[*NETWORKS], metavar="NAME")
    chosen = parser.parse_args()
    rows = []
    for name in chosen.only:
        now, before = [], []
        for _ in range(chosen.runs):
            now.append(traced(name, FOLDER.parents[1]))
            if chosen.before is not None and name in BOTH:
                before.append(traced(name, chosen.before))
        rows.append(row(name, now, before))
        print(rows[-1], flush=True)
    save(rows, COMMAND, RESULTS)
    page = (FOLDER / "README.md").read_text()
    (FOLDER / "README.md").write_text(written(page, table(rows), "depth"))


def written(page: str, text: str, name: str) -> str:
    """Return a page with a text in the place of a table of some name.

    >>> written("a <!-- depth -->old<!-- end of depth --> b", "new ", "depth")
    'a <!-- depth -->\\nnew <!-- end of depth --> b'
    """
    before, start, rest = page.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{start}\n{text}{end}{after}"


if __name__ == "__main__":
    main()
