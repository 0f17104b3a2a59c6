"""Shapes of pruned networks with new weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.assembly import composed
from experiments.compare import Comparison
from experiments.scratch import run as scratch
from train import run


def test_new_weights_are_drawn_for_every_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    nn.init.constant_(network[1].weight, 7.0)
    before = {name: value.clone() for name, value in network.named_parameters()}
    scratch.reset(network)
    assert torch.equal(network[1].weight, torch.ones(4))
    assert all(not torch.equal(before[f"{layer}.weight"], network[layer].weight) for layer in (0, 3))


def test_the_shape_of_a_pruned_network_is_trained_as_the_dense_one_is(tmp_path: Path) -> None:
    few = tuple(f"+trainer.limit_{split}_batches=2" for split in ("train", "val", "test"))
    overrides = ("data=digits", "model=lenet5", "logger=none", *few)
    compared = Comparison("digits", overrides, 0.4, ("uniform",), sparsify=1, finetune=1)
    pruned = next(arm for arm in compared.arms if arm.name == scratch.LAW)
    report, _ = run(composed([*pruned.overrides, "seed=3", f"paths.output={tmp_path / scratch.LAW / '3'}"]))
    row = scratch.trained(compared, 3, tmp_path)
    assert row["macs_kept"] == pytest.approx(report.macs["pruned"] / report.macs["dense"])
    assert 0.0 <= row["accuracy"] <= 1.0
    assert (row["data"], row["seed"]) == ("digits", 3)


def test_rows_compare_over_the_same_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        {"arm": arm, "seed": seed, "metric": {"dense": 0.9, "after_finetune": 0.5 + 0.1 * seed}}
        for arm in ("uniform", "gravity")
        for seed in (0, 1, 2)
    ]
    monkeypatch.setattr(scratch, "results", lambda _: json.loads(json.dumps(found)))
    rows = [{"data": "digits", "seed": seed, "macs_kept": 0.3, "accuracy": 0.8} for seed in (1, 2)]
    assert "| digits | 2 | 30.0 ± 0.0 | 90.00 ± 0.00 | 65.00 ± 7.07 | 80.00 ± 0.00 |" in scratch.table(rows)
