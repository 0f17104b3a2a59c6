"""Folders of runs made by hand: small enough to know every figure in them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from reported import REPORT

from physprune_pl.history import ChannelHistory
from physprune_pl.reports.fit_facts import FitFacts
from physprune_pl.reports.report import PruningReport

GROUPS = {"net.conv1": 4, "net.conv2": 3}
CUT = {"net.conv1": [1, 3], "net.conv2": [0]}

# Of this group and module, as if their author wished the reader ill.
NASTY = "<script>alert(1)</script>"

FIT = FitFacts(
    *("ResNet", "Digits", "gravity", {"macs": 0.3}, {"sparsify": 12, "finetune": 5}, "nets:ResNet"),
    arguments={"width": 8},
    inputs=("1,4",),
    checkpoint="best.ckpt",
).to_dict()


def report(**changes: Any) -> PruningReport:
    groups = [
        {"name": name, "before": size, "after": size - len(CUT[name]), "exact": name == "net.conv1"}
        for name, size in GROUPS.items()
    ]
    left = [{"name": NASTY, "reason": "it is the output"}]
    metric = {**REPORT.metric, "dense": 0.99}
    return replace(REPORT, **{"groups": groups, "left_whole": left, "metric": metric, "fit": FIT, **changes})


def rows(epoch: int, steered: bool) -> dict[str, Any]:
    found = {}
    for name, size in GROUPS.items():
        strength = np.linspace(2, 1, size, dtype=np.float32)
        strength[CUT[name]] *= max(0.0, 1 - epoch / 2)
        found[f"strength/{name}"] = strength
        found[f"distance/{name}"] = np.arange(size, dtype=np.float32)
        found[f"coefficient/{name}"] = np.exp(np.arange(size, dtype=np.float32))
        if steered:
            found["planned"] = np.array([1 - epoch / 4], dtype=np.float32)
            found[f"chosen/{name}"] = np.isin(np.arange(size), CUT[name]).astype(np.float32)
            found[f"group_coefficient/{name}"] = np.array([0.01 * (epoch + 1)], dtype=np.float32)
            found[f"remaining/{name}"] = np.array([max(0.0, 1 - epoch / 2)], dtype=np.float32)
    return found


def history(steered: bool = True, finetune: int = 2, sparsify: int = 3) -> ChannelHistory:
    """Epochs of pressing, and some of fine-tuning, in which the channels of ``CUT`` are gone."""
    kept = ChannelHistory()
    for epoch in range(sparsify):
        kept.append(epoch, "sparsify", rows(epoch, steered))
    for epoch in range(sparsify, sparsify + finetune):
        left = {name: value for name, value in rows(0, False).items() if name.startswith("strength/")}
        for name, gone in CUT.items():
            left[f"strength/{name}"][gone] = np.nan
        kept.append(epoch, "finetune", left)
    return kept


METRICS = """epoch,step,val/acc,val/loss,train/loss,physprune/penalty,physprune/steering/remaining
0,1,,,2.0,5.0,1.0
0,2,,,1.0,3.0,0.5
0,2,0.5,150.0,,,
1,3,,,0.5,1.0,0.25
1,3,0.75,0.5,,,
"""


def run_folder(folder: Path, kept: ChannelHistory | None = None, **changes: Any) -> Path:
    """Write everything that a run of train.py leaves and a page shows."""
    report(**changes).save(folder)
    (folder / "logs").mkdir()
    (kept or history()).save(folder / "logs" / "channels.npz")
    (folder / "logs" / "metrics.csv").write_text(METRICS)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 3\nforce: exponential\n")
    return folder


def bare_folder(folder: Path, **changes: Any) -> Path:
    """Write a report of bare facts, and nothing else."""
    facts = {
        "left_whole": [],
        "latency_ms": {},
        "command": "",
        "seed": None,
        "not_arrived": [],
        "dead_groups": [],
        "fit": {},
    }
    report(**{**facts, "groups": [], "metric": {}, "seconds": {}, **changes}).save(folder)
    return folder
