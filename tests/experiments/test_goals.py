"""The table of goals: figures come from what is stored, and what was not measured is said so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic import stopwatch
from torch import nn

from experiments.goals import (
    details,
    latency_targets,
    measurements,
    missed_goals,
    peaks,
    profiling,
    table,
    tracker,
    training_cost,
)
from experiments.goals.stored_figures import merged
from experiments.speed.pressed import Network

ROWS = [
    {"network": "resnet50", "plan_seconds": 0.25, "macs_ratio": 2.5},
    {"network": "resnet50", "way": "eager", "batch": 32, "dense": 80.0, "pruned": 40.0, "faster": 2.0},
]


def lines(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return {cells[0]: cells[1:] for cells in rows}


def test_figures_stand_beside_their_goals() -> None:
    text = table.page(ROWS)
    found = lines(text)
    assert found["resnet50: planning to a MAC target < 1 s after tracing"] == ["0.250 s", "yes"]
    assert "| resnet50 | eager | 32 | 80.00 | 40.00 | 2.50x | 2.00x | 0.80 |" in text
    slow = lines(table.page([{**ROWS[0], "plan_seconds": 1.5}]))
    assert slow["resnet50: planning to a MAC target < 1 s after tracing"] == ["1.500 s", "**no**"]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = lines(table.page([]))
    assert found["resnet50: planning to a MAC target < 1 s after tracing"] == ["not measured", "-"]
    assert found["tracker <= 1 % of an epoch"] == ["not measured", "-"]
    assert found["whole job <= 1.0 of as many dense epochs"] == ["not measured", "-"]


@pytest.mark.parametrize(("share", "verdict"), [(0.004, "yes"), (0.04, "**no**")])
def test_the_late_epochs_judge_the_tracker(share: float, verdict: str) -> None:
    row = {"network": "a", "way": "tracker", "epochs": 100, "share": 0.002, "share_last": share, "tracker_last": 9.0}
    figure, met = lines(table.page([row]))["tracker <= 1 % of an epoch (a)"]
    assert figure == f"0.20%; {share:.2%} in the last of 100 epochs: 9 ms"
    assert met == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "yes"), (1.1, "**no**")])
def test_processor_time_judges_the_job(share: float, verdict: str) -> None:
    row = {"network": "a", "way": "whole job", "sparsify": 8, "finetune": 4, "processor_share": share}
    found = lines(table.page([{**row, "clock_share": 1.0}]))
    assert found["whole job <= 1.0 of as many dense epochs (a, 8 + 4)"] == [f"{share:.2f}", verdict]


def test_the_tracker_is_timed_at_every_epoch() -> None:
    row = tracker.measured("resnet20 on digits", 2)
    assert row["epochs"] == 2
    assert row["share"] * row["steps"] * row["step"] == pytest.approx(row["tracker"])
    assert row["tracker"] > 0


def test_dense_and_job_train_as_many_epochs_from_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[list[str]] = []

    def fitted(overrides: list[str]) -> dict[str, float]:
        done.append(overrides)
        return {"clock": 2.0 if "target=none" in overrides else 1.0, "processor": 4.0}

    monkeypatch.setattr(training_cost, "fitted", fitted)
    row = training_cost.measured("a network", training_cost.TrainingCase(("experiment=demo",), 2, 1, (0, 1)))
    assert row["clock_share"] == 0.5
    assert row["processor_share"] == 1.0
    assert ["target=none" in one for one in done] == [True, False, False, True]
    assert [one[-1] for one in done] == ["seed=0", "seed=0", "seed=1", "seed=1"]
    assert {"trainer.max_epochs=2", "finetune.epochs=1"} <= set(done[1])
    assert "trainer.max_epochs=3" in done[0]


def test_the_job_is_taken_apart_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, bool, tuple[type, ...]]] = []

    def fitted(overrides: list[str], left_out: tuple[type, ...]) -> dict[str, object]:
        dense = "target=none" in overrides
        done.append((overrides[-1], dense, left_out))
        spent = 6.0 if dense else 8.0 - len(left_out)
        return {"clock": 6.0, "processor": spent, "phases": {} if dense else {"trace": 1.5, "finetune": 1.0}}

    monkeypatch.setattr(training_cost, "fitted", fitted)
    row = missed_goals.job_apart(training_cost.TrainingCase(("experiment=demo",), 2, 1, (0, 1)))
    shares = row["job_apart"]
    assert [round(6 * shares[name]) for name in missed_goals.PARTS] == [8, 7, 7, 6]
    assert (shares["trace"], shares["epoch after the cut"]) == (0.25, 0.5)
    assert [seed for seed, _, _ in done] == ["seed=0"] * 5 + ["seed=1"] * 5
    assert [dense for _, dense, _ in done] == [True, *[False] * 4, *[False] * 4, True]


def test_the_trackers_time_is_taken_apart() -> None:
    times = missed_goals.tracker_apart("resnet20 on digits", rounds=1, epochs=2)["tracker_apart"]
    assert times.keys() >= {"all", "overall numbers alone", *missed_goals.STAGES}
    assert all(times[stage] > 0 for stage in missed_goals.STAGES)
    text = details.apart([{"network": "a", "tracker_apart": times}, {"network": "b", "job_apart": {"all": 1.25}}])
    assert f"| all | {times['all']:.0f} |" in text
    assert "| all | 1.25 |" in text


def test_overall_numbers_leave_those_of_groups_out() -> None:
    strengths = {"a": torch.ones(4), "b": torch.zeros(2)}
    alone = missed_goals.overall_alone(strengths)
    assert set(alone) == {
        f"physprune/{name}" for name in ("strength", "near_zero", "effective_channels", "concentration")
    }
    assert alone["physprune/strength"] == pytest.approx(2 / 3)


@pytest.mark.slow
def test_a_job_and_a_dense_fit_are_timed() -> None:
    row = training_cost.measured("resnet56 on digits", training_cost.TrainingCase(("experiment=demo",), 1, 1, (0,)))
    assert row["fits"]["job"][0]["phases"]
    assert row["clock_share"] > 0


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> str:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(256, 10))

    monkeypatch.setitem(measurements.NETWORKS, "small", Network(build, 8, 2, None))
    return "small"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can set a peak back")
@pytest.mark.parametrize("stage", peaks.STAGES)
def test_memory_of_a_stage_is_at_least_what_was_there(small: str, stage: str) -> None:
    before, most = peaks.peaks(peaks.STAGES[stage](small))
    assert most >= before > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can set a peak back")
def test_a_peak_is_that_of_the_stage_alone() -> None:
    # A block beyond the 32 MiB up to which glibc may take one from memory that the process still holds.
    before, most = peaks.peaks(lambda: torch.ones(64 * 2**20).sum())
    assert most - before >= 0.9 * 256 * 2**20
    assert peaks.peaks(lambda: None)[1] < most


def test_a_target_in_latency_is_planned_and_measured(small: str, tmp_path: Path) -> None:
    row = latency_targets.measured(small, stopwatch(tmp_path, 2), (0.9, 1e-6))
    assert row["batch"] == 2
    assert row["asked"]["0.9"]["measured"] == pytest.approx(0.9, abs=0.03)
    assert "latency" in row["asked"]["1e-06"]["failure"]


def test_shares_asked_for_stand_beside_what_came_of_them() -> None:
    got = {"predicted": 0.51, "measured": 0.46, "macs": 0.3, "seconds": 12.3}
    row = {"network": "a", "way": "latency asked", "batch": 1, "asked": {"0.5": got, "0.1": {"seconds": 1.0}}}
    text = details.latencies([row])
    assert "| a | 1 | 50.0% | 51.0% | 46.0% | 30.0% | 12 |" in text
    assert "| a | 1 | 10.0% | - | - | - | 1 |" in text


def test_memory_is_written_in_mebibytes() -> None:
    row = {"network": "a", "way": "memory: the cut", "rise": 2**21, "rises": [2**21, 2**20], "peaks": [2**30, 2**29]}
    text = details.memory([{**row, "parameters_bytes": 2**22}])
    assert "| a | the cut | 2 | 2, 1 | 512 to 1024 | 4 |" in text


def test_operations_are_compared_with_those_of_the_dense_network(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "MULTIPLE", 1)
    found = profiling.profiled(profiling.networks(small), torch.randn(2, 3, 8, 8), rounds=1)
    assert any("conv" in operation for operation in found)
    dense = [times["dense"] for times in found.values()]
    assert dense == sorted(dense, reverse=True)
    times = {"dense": 4.0, "pruned": 2.0}
    text = details.operations([{"network": "a", "batch": 2, "operations": {"aten::add": times}, "total": times}])
    assert "| `aten::add` | 4.0 | 2.0 | 2.00x |" in text


def test_a_new_row_takes_the_place_of_the_old_one() -> None:
    new = {**ROWS[1], "faster": 1.5}
    assert merged(ROWS, [new]) == [ROWS[0], new]
    assert merged([], ROWS) == ROWS


def test_networks_take_turns_and_are_compared_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(measurements, "ROUNDS", 3)
    ran: list[str] = []
    found = measurements.raced({name: lambda name=name: ran.append(name) for name in ("dense", "pruned")})
    assert found["rounds"] == 3
    assert ran[:2] == ["dense", "pruned"]  # what is compiled is compiled before the first round
    assert ran.count("dense") == ran.count("pruned") == 5
    assert found["faster"] > 0


@pytest.mark.parametrize(
    ("multiple", "rounded"), [(1, [1, 32]), (16, [None])], ids=["in reach", "out of reach is said so"]
)
def test_a_network_is_planned_and_raced(
    monkeypatch: pytest.MonkeyPatch, multiple: int, rounded: list[int | None]
) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(256, 2))

    monkeypatch.setattr(measurements, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(measurements, "MULTIPLE", multiple)
    monkeypatch.setitem(measurements.NETWORKS, "small", Network(build, 8, 2, None))
    plan, *rows = measurements.measured("small", {"eager": measurements.eager})
    assert plan["macs_ratio"] == pytest.approx(2.5, rel=0.03)
    assert [row["batch"] for row in rows if row["way"] == "eager"] == [1, 32]
    assert [row.get("batch") for row in rows if row["way"].endswith(measurements.ROUNDED)] == rounded
    assert all("failure" in row or row["faster"] > 0 for row in rows)


def test_onnxruntime_runs_both_networks() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is an optional package")
    pytest.importorskip("onnxscript", reason="onnxscript is an optional package")
    pair = {name: nn.Sequential(nn.Linear(3, 2)).eval() for name in ("dense", "pruned")}
    pictures = torch.randn(2, 3)
    for name, call in measurements.onnxruntime(pair, pictures).items():
        (out,) = call()
        assert torch.allclose(torch.from_numpy(out), pair[name](pictures), atol=1e-5)
