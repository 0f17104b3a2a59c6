"""Timing the networks of finished runs again."""

from __future__ import annotations

from pathlib import Path

import pytest
from configured import ADVICE

from experiments import retiming
from experiments.bench.law_comparison import LawComparison
from experiments.training.assembly import composed
from experiments.training.run import run
from physprune_pl import PruningReport

pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]


def test_a_finished_run_gets_new_times_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(f"+trainer.limit_{split}_batches=2" for split in ("train", "val", "test"))
    overrides = ("data=digits", "model=lenet5", "logger=none", *few)
    compared = LawComparison("digits", overrides, 0.4, ("uniform",), sparsify=1, finetune=1)
    monkeypatch.setattr(retiming, "comparison", lambda _: compared)
    arm = compared.arms[1]
    folder = tmp_path / arm.name / "0"
    before, _ = run(composed([*arm.overrides, "seed=0", f"paths.output={folder}"]))
    times = {"batch_1": {"dense": 2.0, "pruned": 1.0}}
    seen = []

    def measure(networks: dict, example: object) -> dict[str, dict[str, float]]:
        seen.extend(sum(one.numel() for one in network.parameters()) for network in networks.values())
        return times

    monkeypatch.setattr(retiming, "measure_latency", measure)
    retiming.main(["digits", "--runs", str(tmp_path)])
    after = PruningReport.from_json((folder / "report.json").read_text())
    assert after.latency_ms == times
    assert (after.metric, after.macs) == (before.metric, before.macs)
    assert seen == [before.params["dense"], before.params["pruned"]]
