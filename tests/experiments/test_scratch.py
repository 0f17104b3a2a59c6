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
from physprune_pl.networks.measure import count_macs
from physprune_pl.targets.target import Target


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
    row = scratch.trained(compared, "pruned", 3, tmp_path)
    assert row["macs_kept"] == pytest.approx(pruned["macs"]["pruned"] / pruned["macs"]["dense"])
    assert {phase: row[phase] for phase in scratch.RIVALS} == {
        phase: pruned["metric"][phase] for phase in scratch.RIVALS
    }
    assert 0.0 <= row["accuracy"] <= 1.0
    assert (row["data"], row["seed"]) == ("digits", 3)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_scaled_network_keeps_the_same_share_of_every_width_and_costs_what_is_asked(share: float) -> None:
    network = nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 4)
    )
    dense = count_macs(network, torch.zeros(1, 8))
    scratch.scale(network, torch.zeros(2, 8), Target("macs", share))
    assert count_macs(network, torch.zeros(1, 8)) == pytest.approx(share * dense, rel=0.02)
    kept = [layer.out_features / size for layer, size in zip(network[:6:2], (64, 32, 128), strict=True)]
    assert max(kept) - min(kept) <= 1 / 32


def test_a_scaled_network_takes_part_with_its_residual_stream(tmp_path: Path) -> None:
    stream = nn.Sequential(nn.Embedding(9, 16), nn.LayerNorm(16), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 3))
    scratch.scale(stream, torch.zeros(2, 5, dtype=torch.long), Target("params", 0.5))
    assert stream[0].embedding_dim < 16


def test_a_scaled_network_is_compared_with_the_committed_one_of_its_seed(tmp_path: Path) -> None:
    few = tuple(f"+trainer.limit_{split}_batches=2" for split in ("train", "val", "test"))
    compared = LawComparison("digits", ("data=digits", "model=lenet5", "logger=none", *few), 0.4, (), 1, 1)
    row = scratch.trained(compared, "scaled", 3, tmp_path)
    committed = next(one["metric"] for one in results("digits") if (one["arm"], one["seed"]) == (scratch.LAW, 3))
    assert row["macs_kept"] == pytest.approx(0.4, rel=0.02)
    assert {phase: row[phase] for phase in scratch.RIVALS} == {phase: committed[phase] for phase in scratch.RIVALS}


def test_rows_compare_over_the_same_seeds() -> None:
    rows = [
        {
            "data": "digits",
            "shape": "scaled",
            "seed": seed,
            "macs_kept": 0.3,
            "dense": 0.9,
            "after_finetune": 0.5 + 0.1 * seed,
            "accuracy": 0.8,
        }
        for seed in (1, 2)
    ]
    cells = "| digits | scaled | 2 | 30.0 ± 0.0 | 90.00 ± 0.00 | 65.00 ± 7.07 | 80.00 ± 0.00 | -15.00 ± 7.07 (2) |"
    assert cells in scratch.table(rows)


def test_every_stored_shape_is_compared_with_the_network_that_it_was_found_by() -> None:
    pruned = {
        (name, one["seed"], one["processor"]): one
        for name in scratch.SETS
        for one in results(name)
        if one["arm"] == scratch.LAW
    }
    found = [
        (pruned.get((row["data"], row["seed"], row["processor"])), row)
        for row in results("scratch")
        if row["shape"] == "pruned"
    ]
    compared = [(one["metric"], row) for one, row in found if one is not None]
    assert compared
    assert all(metric[phase] == row[phase] for metric, row in compared for phase in scratch.RIVALS)
