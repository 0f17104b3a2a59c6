"""Shapes of pruned networks with new weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.bench.committed_results import results
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import run_arms
from experiments.scratch import run as scratch
from experiments.training.run import run


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
    compared = LawComparison("digits", overrides, 0.4, ("uniform",), sparsify=1, finetune=1)
    _, pruned = run_arms(compared.arms, [3], tmp_path, run)
    row = scratch.trained(compared, 3, tmp_path)
    assert row["macs_kept"] == pytest.approx(pruned["macs"]["pruned"] / pruned["macs"]["dense"])
    assert {phase: row[phase] for phase in scratch.RIVALS} == {
        phase: pruned["metric"][phase] for phase in scratch.RIVALS
    }
    assert 0.0 <= row["accuracy"] <= 1.0
    assert (row["data"], row["seed"]) == ("digits", 3)


def test_rows_compare_over_the_same_seeds() -> None:
    rows = [
        {
            "data": "digits",
            "seed": seed,
            "macs_kept": 0.3,
            "dense": 0.9,
            "after_finetune": 0.5 + 0.1 * seed,
            "accuracy": 0.8,
        }
        for seed in (1, 2)
    ]
    assert "| digits | 2 | 30.0 ± 0.0 | 90.00 ± 0.00 | 65.00 ± 7.07 | 80.00 ± 0.00 |" in scratch.table(rows)


def test_every_stored_shape_is_compared_with_the_network_that_it_was_found_by() -> None:
    pruned = {
        (name, one["seed"], one["processor"]): one
        for name in scratch.SETS
        for one in results(name)
        if one["arm"] == scratch.LAW
    }
    found = [(pruned.get((row["data"], row["seed"], row["processor"])), row) for row in results("scratch")]
    compared = [(one["metric"], row) for one, row in found if one is not None]
    assert compared
    assert all(metric[phase] == row[phase] for metric, row in compared for phase in scratch.RIVALS)
