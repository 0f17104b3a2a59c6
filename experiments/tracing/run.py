"""Times tracing networks at the size they are used at: ``python -m experiments.tracing.run [--only NAME ...]``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

import torch
import torchvision

from experiments.bench.runs import save, write_table
from experiments.zoo.limited_process import GIB, ProcessLimits, Row, run_apart
from physprune_pl.latency.race import race_networks
from physprune_pl.networks.example import Example
from physprune_pl.tools.memory import process_peak
from physprune_pl.tracing.tracer import trace

FOLDER = Path(__file__).parent
COMMAND = "python -m experiments.tracing.run"
# Seconds that a user should not have to wait longer for, and bytes.
GOALS = {"resnet50": 10.0, "vit_b_16": 30.0}
MEMORY = 4 * GIB
NETWORKS = (*GOALS, "mobilenet_v2", "densenet121", "convnext_tiny", "swin_t")
PIXELS = 224


def traced(name: str) -> Iterator[Row]:
    """Yield what tracing a network with random weights takes, on all cores, and how long its forward pass takes."""
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    example = torch.randn(2, 3, PIXELS, PIXELS)
    forward = race_networks({"one": model}, Example.of(example[:1]), 5, 0.0)["one"] / 1000.0
    wall, processor = perf_counter(), process_time()
    found = trace(model, example)
    yield {
        "seconds": perf_counter() - wall,
        "processor_seconds": process_time() - processor,
        "forward_seconds": forward,
        "threads": torch.get_num_threads(),
        "groups": len(found.groups),
        "peak_bytes": process_peak(),
    }


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown, with the goals beside the figures."""
    head = ["network", "seconds", "goal", "processor seconds", "one forward pass (s)", "memory", "goal", "groups"]
    lines = [head, ["---"] * len(head), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cells(row: Row) -> list[str]:
    if "failure" in row:
        return [row["network"], row["failure"], *["-"] * 6]
    goal = GOALS.get(row["network"])
    times = [f"{row['seconds']:.1f}", "-" if goal is None else f"{goal:.0f}", f"{row['processor_seconds']:.1f}"]
    memory = [f"{row['peak_bytes'] / GIB:.1f} GiB", f"{MEMORY / GIB:.0f} GiB"]
    return [row["network"], *times, f"{row['forward_seconds']:.2f}", *memory, str(row["groups"])]


def main() -> None:
    """Trace each network in a process of its own, and write results.json and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=NETWORKS, choices=NETWORKS, metavar="NAME")
    limits = ProcessLimits(seconds=600)
    rows = [{"network": name, **run_apart(partial(traced, name), limits)} for name in parser.parse_args().only]
    save(rows, COMMAND, FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
