"""The figures of a run are the same of its report and of what was stored of it, and missing ones are not made up."""

from dataclasses import asdict

import pytest

from physprune_pl.reports.figures import RunFigures
from physprune_pl.reports.report import PruningReport

COSTS = {"dense": 200, "pruned": 50}
METRIC = {"name": "acc", "dense": 0.9, "after_sparsify": None, "after_cut": 0.5}
LATENCY = {"batch_1": {"dense": 4.0, "pruned": 2.0}}
REPORT = PruningReport(
    COSTS, {"dense": 10, "pruned": 8}, METRIC, [], latency_ms=LATENCY, seconds={"a": 30.0, "b": 90.0}
)


@pytest.mark.parametrize("found", [REPORT, asdict(REPORT)], ids=["report", "stored"])
def test_shares_and_times(found):
    figures = RunFigures.of(found)
    assert [figures.kept(cost) for cost in ("macs", "params", "batch_1")] == [0.25, 0.8, 0.5]
    assert [figures.less(cost) for cost in ("macs", "params", "batch_1")] == [4.0, 1.25, 2.0]
    assert figures.minutes == 2.0


def test_the_final_metric_is_the_last_that_was_measured():
    figures = RunFigures.of(REPORT)
    assert (figures.score("after_sparsify"), figures.score("after_finetune")) == (None, None)
    assert figures.final == 0.5
    assert RunFigures.of(PruningReport(COSTS, COSTS, {"name": "acc"}, [])).final is None
