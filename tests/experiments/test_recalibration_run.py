"""The experiment on recalibration: where it finds the plan, and what its table says."""

from pathlib import Path

import pytest
import torch
from hand_traces import chain

from experiments.recalibration.run import CUT, plan_in, table
from physprune_pl.surgery.plan import make_plan


def test_the_plan_is_read_from_a_checkpoint_after_the_cut(tmp_path: Path) -> None:
    trace = chain((2, 3, 2))
    plan = make_plan(trace, [torch.tensor([True, False, False])], macs=(12, 8), params=(12, 8))
    for name, callbacks in (("after", {"other": {}, "cut": {"plan": plan.to_dict()}}), ("before", {"cut": {}})):
        torch.save({"callbacks": callbacks}, tmp_path / name)
    assert plan_in(tmp_path / "after") == plan
    with pytest.raises(ValueError, match="expected a checkpoint from after the cut"):
        plan_in(tmp_path / "before")


def result(arm: str, seed: int, *values: float) -> dict:
    names = ("before the cut", CUT, "recalibrated, 1 batch")
    return {"arm": arm, "seed": seed, "val_accuracy": dict(zip(names, values, strict=True))}


def test_the_table_shows_gains_run_by_run() -> None:
    lines = table([result("none", 0, 0.9, 0.1, 0.5), result("none", 1, 0.9, 0.3, 0.5), result("one", 0, 1, 0.9, 0.8)])
    assert lines.splitlines() == [
        "| arm | seeds | before the cut | right after the cut | recalibrated, 1 batch |",
        "|---|---|---|---|---|",
        "| none | 2 | 90.00 ± 0.00 | 20.00 ± 14.14 | +30.00 ± 14.14 |",
        "| one | 1 | 100.00 | 90.00 | -10.00 |",
    ]
