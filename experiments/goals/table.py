"""The goals and the speed-ups as Markdown, from what all experiments have stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.goals import cheaper, details
from experiments.goals.lines import Line, absent, line
from physprune_pl.reports.tables import markdown

Row = Mapping[str, Any]
EXPERIMENTS = Path(__file__).parent.parent


def page(rows: Sequence[Row]) -> str:
    """Return the tables: of goals, speed-ups, targets in latency, memory, and where the time goes."""
    trainings = [*_tracker(rows), *_job(rows), absent("GPU: force <= 1.03 of a step")]
    cheap = [
        *cheaper.fits(cheaper.stored("gradual/results.json")),
        *cheaper.traces(cheaper.stored("tracing/depth.json")),
    ]
    lines = [*_force(), *_planning(rows), *_tracing(), *trainings, *_loader(), *cheap]
    goals = markdown(("goal", "measured", "met"), lines)
    more = (details.latencies, details.memory, details.operations, details.apart)
    return f"{goals}\n{_speedups(rows)}" + "".join(part(rows) for part in more)


def _stored(name: str) -> Any:
    return json.loads((EXPERIMENTS / name / "results.json").read_text(encoding="utf-8"))


def _force() -> list[Line]:
    """Shares of a step and ratios to other implementations, from experiments/speed."""
    lines: list[Line] = []
    for name, found in _stored("speed")["networks"].items():
        steps, alone = found["steps"], found["alone"]
        laws = {law: times["force"] for law, times in steps.items() if isinstance(times, dict)}
        slowest = max(laws.values()) + steps["adding"]
        limit = 1.5 * 2 * steps["copy"] + 3.0
        lines.append(
            line(f"{name}: force <= 1.5 floors + 3 ms = {limit:.1f} ms", f"{slowest:.1f} ms", slowest <= limit)
        )
        share, most = 1 + slowest / steps["without"], {"resnet56": 1.01, "vgg19": 1.02}.get(name)
        if most is not None:
            lines.append(line(f"{name}: share of the step <= {most}", f"{share:.4f}", share <= most))
        # Into empty gradients and into those that are there: the worse of the two counts.
        loop = min(alone[f"loop{into}"] / alone[f"ours, exponential{into}"] for into in ("", ", added"))
        faster = alone["torch-pruning"] / alone["ours, exponential, added"]
        lines.append(line(f"{name}: penalty >= 5x faster than Torch-Pruning's", f"{faster:.1f}x", faster >= 5))
        lines.append(line(f"{name}: never slower than the loop", f"{loop:.2f}x", loop >= 1))
    return lines


def _planning(rows: Sequence[Row]) -> list[Line]:
    found = [row for row in rows if "plan_seconds" in row and row["network"] == "resnet50"]
    goal = "resnet50: planning to a MAC target < 1 s after tracing"
    return [line(goal, f"{row['plan_seconds']:.3f} s", row["plan_seconds"] < 1) for row in found] or [absent(goal)]


def _tracing() -> list[Line]:
    goals = {"resnet50": 10.0, "vit_b_16": 30.0}
    rows = [row for row in _stored("tracing")["results"] if row["network"] in goals and "seconds" in row]
    names = [(f"{row['network']}: trace at 224 px <= {goals[row['network']]:.0f} s", row) for row in rows]
    return [line(goal, f"{row['seconds']:.1f} s", row["seconds"] <= goals[row["network"]]) for goal, row in names]


def _tracker(rows: Sequence[Row]) -> list[Line]:
    goal = "tracker <= 1 % of an epoch"
    found = [row for row in rows if row.get("way") == "tracker"]
    return [line(f"{goal} ({row['network']})", _share(row), row["share_last"] <= 0.01) for row in found] or [
        absent(goal)
    ]


def _share(row: Row) -> str:
    late = f"{row['share_last']:.2%} in the last of {row['epochs']} epochs"
    return f"{row['share']:.2%}; {late}: {row['tracker_last']:.0f} ms"


def _job(rows: Sequence[Row]) -> list[Line]:
    """Processor time; that of the clock is stored beside it, but other programs on the machine decide it."""
    goal = "whole job <= 1.0 of as many dense epochs"
    found = [row for row in rows if row.get("way") == "whole job"]
    lines = [(f"{goal} ({row['network']}, {row['sparsify']} + {row['finetune']})", row) for row in found]
    return [line(name, f"{row['processor_share']:.2f}", row["processor_share"] <= 1) for name, row in lines] or [
        absent(goal)
    ]


def _loader() -> list[Line]:
    """Processor time of making ready 128 pictures, beside a step of ResNet-20 on as many."""
    ways = {row["way"]: row["pictures_per_second"] for row in _stored("loading")["results"]}
    step = _stored("speed")["networks"]["resnet20"]["steps"]["without"]
    share = 1000.0 * 128 / ways["whole batches"] / step
    other = 1000.0 * 128 / ways["one by one, torchvision"] / step
    return [
        line("loader <= 5 % of a step (resnet20)", f"{share:.1%}; torchvision one by one {other:.1%}", share <= 0.05)
    ]


def _speedups(rows: Sequence[Row]) -> str:
    asked = {row["network"]: row["macs_ratio"] for row in rows if "macs_ratio" in row}
    head = ("network", "way", "batch", "dense, ms", "pruned, ms", "fewer MACs", "faster", "ratio of the ratios")
    cells = [_cells(row, row.get("fewer") or asked[row["network"]]) for row in rows if "faster" in row]
    return markdown(head, cells)


def _cells(row: Row, fewer: float) -> tuple[str, ...]:
    times = (f"{row['dense']:.2f}", f"{row['pruned']:.2f}", f"{fewer:.2f}x", f"{row['faster']:.2f}x")
    return (row["network"], row["way"], str(row["batch"]), *times, f"{row['faster'] / fewer:.2f}")
