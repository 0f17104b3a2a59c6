"""Goals for fits that remove channels while they train, and for the trace, from what other studies have stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from experiments.bench.paired import cell, points
from experiments.goals.lines import Line, absent, line
from experiments.tracing.depth import BOTH, growth

Row = Mapping[str, Any]
# Data of the study of gradual removal -> what it is, and the largest share of the time of as many dense epochs.
FITS = {
    "cifar10": ("ResNet-20, CIFAR-10, 2.5x, bfloat16", 0.65),
    "cifar10, float32": ("ResNet-20, CIFAR-10, 2.5x, float32, multiples of 8", 0.65),
    "cifar10, 5x": ("ResNet-20, CIFAR-10, 5x, float32, multiples of 8", 0.5),
    "cifar10, VGG-11": ("VGG-11, CIFAR-10, 4x, bfloat16, multiples of 8", 0.55),
    "sst2": ("small encoder, SST-2, 3x", 0.7),
    "digits": ("ResNet-56, digits, 3.3x", 0.95),
}
NEAR, THIRD, GROWTH, MEMORY = 0.2, 0.33, 2.1, 2.5


def stored(path: str) -> list[Row]:
    """Return the results of a study, by its file under ``experiments/``."""
    text = (Path(__file__).parent.parent / path).read_text(encoding="utf-8")
    found: list[Row] = json.loads(text)["results"]
    return found


def fits(rows: Sequence[Row]) -> Iterator[Line]:
    """Yield goal, figure and whether it is met: processor time of the fits, then accuracy against one removal."""
    lost: list[float] = []
    for data, (name, most) in FITS.items():
        dense, once, gradual = (_full_rate(rows, data, removal) for removal in (None, "once", "gradual"))
        shares = [_seconds(one) / _seconds(dense[seed]) for seed, one in gradual.items() if seed in dense]
        lost += [points(_accuracy(one) - _accuracy(once[seed])) for seed, one in gradual.items() if seed in once]
        goal = f"gradual removal: fit <= {most} of as many dense epochs ({name})"
        yield line(goal, f"{mean(shares):.3f}", mean(shares) <= most) if shares else absent(goal)
    goal = f"gradual removal: accuracy within {NEAR} points of one removal, over these rows"
    yield line(goal, cell(lost), mean(lost) >= -NEAR) if lost else absent(goal)


def traces(rows: Sequence[Row]) -> Iterator[Line]:
    """Yield the same of the trace: its time against an earlier build, how it grows with depth, its memory."""
    by_name = {row["network"]: row for row in rows}
    for name in BOTH:
        goal, ratio = f"{name}: trace <= {THIRD} of the build before", by_name.get(name, {}).get("ratio")
        yield absent(goal) if ratio is None else line(goal, f"{ratio:.2f}", ratio <= THIRD)
    goal, grown = f"trace: <= {GROWTH}x per doubling of depth", growth(rows)
    yield absent(goal) if grown is None else line(goal, f"{grown:.2f}x", grown <= GROWTH)
    goal, peak = f"vit_b_16: trace <= {MEMORY}x the bytes of the parameters", _peak(by_name)
    yield absent(goal) if peak is None else line(goal, f"{peak:.2f}x", peak <= MEMORY)


def _peak(rows: Mapping[str, Row]) -> float | None:
    found: float | None = rows.get("vit_b_16", {}).get("peak_over_model")
    return found


def _full_rate(rows: Sequence[Row], data: str, removal: str | None) -> dict[int, Row]:
    """Return the runs of the default law, fine-tuned at the full rate, or those of the dense network, by seed."""
    law = ("none", "default") if removal is None else ("exponential", "full_rate")
    found = [one for one in rows if (one["data"], one["removal"], one["force"], one["rate"]) == (data, removal, *law)]
    return {one["seed"]: one for one in found}


def _seconds(one: Row) -> float:
    return float(one["seconds"]["processor"])


def _accuracy(one: Row) -> float:
    return float(one["accuracy"]["test"])
