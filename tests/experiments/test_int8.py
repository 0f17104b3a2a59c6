"""Quantising after pruning: every network is measured, and the table is made of what was."""

import json
from pathlib import Path

import pytest

import physprune_pl.export
from experiments.int8 import run

pytestmark = [
    pytest.mark.skipif(any(physprune_pl.export.missing()), reason="onnx or onnxscript is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def test_all_networks_are_measured_and_int8_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(run, "ROUNDS", 3)
    monkeypatch.setattr(run, "ROUND_SECONDS", 0.0)
    results = run.measured(0, epochs=2, finetune=1)
    assert [one["network"] for one in results] == list(run.NETWORKS)
    dense, dense8, pruned, pruned8 = (one["file_bytes"] for one in results)
    assert pruned8 < dense8 < dense
    assert pruned8 < pruned < dense
    assert all(len(times) == 3 for one in results for times in one["ms"].values())
    scores = {one["network"]: one["accuracy"] for one in results}
    assert scores["pruned"] > 0.3, "no better than chance after training"
    assert abs(scores["pruned"] - scores["pruned, int8"]) < 0.1


def test_the_table_is_that_of_the_stored_results() -> None:
    results = json.loads((run.FOLDER / "results.json").read_text())["results"]
    assert {one["seed"] for one in results} == set(run.SEEDS)
    assert run.table(results) in (run.FOLDER / "README.md").read_text(), "write it again"


def test_times_are_ratios_within_a_round(tmp_path: Path) -> None:
    named = zip(run.NETWORKS, ([4.0, 40.0], [2.0, 20.0], [1.0, 10.0], [4.0, 20.0]), strict=True)
    rows = [
        {"network": name, "seed": 0, "accuracy": 0.5, "file_bytes": 2000, "ms": {"1": times, "32": times}}
        for name, times in named
    ]
    lines = run.table(rows).splitlines()[2:]
    assert [line.split(" | ")[3] for line in lines] == ["1.00x", "2.00x", "4.00x", "1.50x"]
    assert lines[0].startswith("| dense | 50.00 | 2 |")
