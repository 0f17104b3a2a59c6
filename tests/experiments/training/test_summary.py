"""The summary of a sweep, from folders made by hand: arms, failures, table, JSON and picture."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.training.sweeps.arm_picture import ArmPoint, draw, floor, seen
from experiments.training.sweeps.arms import HEAD
from experiments.training.sweeps.summary import main, read, summarise
from physprune_pl.reports.report import PruningReport


def job(sweep: Path, number: int, *overrides: str, final: float | None = None, **metric: float) -> Path:
    """Write the folder of a job; one without a final metric has no report."""
    folder = sweep / str(number)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {one}\n" for one in overrides))
    if final is not None:
        seed = next((int(one.removeprefix("seed=")) for one in overrides if one.startswith("seed=")), 0)
        scores: dict[str, Any] = {"name": "accuracy", "split": "test", "after_finetune": final, **metric}
        costs = {"dense": 100, "pruned": 30 + seed}, {"dense": 10, "pruned": 4}
        (folder / "report.json").write_text(PruningReport(*costs, scores, [], seed=seed).to_json())
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two arms, the second of which lost a job; one job was interrupted; job 10 comes after job 2."""
    job(tmp_path, 0, "model=lenet5", "force=uniform", "seed=0", final=0.5, dense=0.9, after_cut=0.4)
    job(tmp_path, 1, "model=lenet5", "force=uniform", "seed=1", final=0.7, dense=0.8)
    job(tmp_path, 2, "model=lenet5", "force=gravity", "seed=0", final=0.9, dense=0.9)
    failed = job(tmp_path, 10, "model=lenet5", "force=gravity", "seed=1", final=0.1)
    (failed / "failure.json").write_text(json.dumps({"error": "ValueError: no", "traceback": "..."}))
    job(tmp_path, 11, "model=lenet5", "force=torque", "seed=0", "baseline=runs/${seed}/best.ckpt")
    return tmp_path


def test_arms_are_overrides_without_the_seed(sweep: Path) -> None:
    summary = read(sweep)
    assert [job.name for job in summary.jobs] == ["0", "1", "2", "10", "11"]
    assert [(arm.name, len(arm.reports)) for arm in summary.arms] == [("force=uniform", 2), ("force=gravity", 1)]
    assert summary.shared == ("model=lenet5",)
    assert summary.dense == [0.9, 0.8]


def test_a_failed_job_is_named_and_its_old_report_is_not_read(sweep: Path) -> None:
    text = read(sweep).text()
    assert "FAILED: job 10, force=gravity seed=1: ValueError: no" in text
    assert "Not finished: job 11" in text
    assert "3 of 5 jobs done" in text
    assert "60.00 ± 14.14" in text
    assert "30.50 ± 0.71" in text
    assert all(head in text for head in HEAD)


def test_the_json_holds_everything(sweep: Path) -> None:
    summarise(sweep)
    assert "Runs" in (sweep / "comparison.html").read_text(encoding="utf-8")
    page = json.loads((sweep / "summary.json").read_text())
    uniform = page["arms"][0]
    assert uniform["final"] == {"mean": pytest.approx(0.6), "std": pytest.approx(0.02**0.5)}
    assert uniform["after_cut"] == {"mean": 0.4, "std": None}
    assert uniform["after_sparsify"] == {"mean": None, "std": None}
    assert uniform["seeds"] == [0, 1]
    assert [one["job"] for one in page["jobs"]] == ["0", "1", "2"]
    assert page["failed"][0]["error"] == "ValueError: no"
    assert page["unfinished"][0]["overrides"][-1] == "baseline=runs/${seed}/best.ckpt"
    assert page["versions"]["torch"]
    assert page["hardware"]["cores"]
    assert (sweep / "pareto.png").stat().st_size > 1000


def test_the_command_is_that_of_the_sweep(sweep: Path) -> None:
    assert read(sweep).command == ""
    kept = "hydra: {overrides: {task: ['seed=0,1', 'a=${b}'], hydra: [hydra.sweep.dir=x, hydra.mode=MULTIRUN]}}"
    (sweep / "multirun.yaml").write_text(kept)
    assert read(sweep).command == "python train.py -m seed=0,1 'a=${b}' hydra.sweep.dir=x"


def test_a_sweep_of_seeds_alone_is_one_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        job(tmp_path, seed, f"seed={seed}", final=0.5)
    main([str(tmp_path)])
    assert "all jobs" in capsys.readouterr().out


def test_a_sweep_that_lost_everything_has_a_summary(tmp_path: Path) -> None:
    (job(tmp_path, 0, "seed=0") / "failure.json").write_text('{"error": "E"}')
    assert summarise(tmp_path).text().startswith("All jobs:") is False
    assert json.loads((tmp_path / "summary.json").read_text())["arms"] == []
    assert not (tmp_path / "pareto.png").exists()


def test_a_folder_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="folder: expected"):
        read(tmp_path)


def test_a_point_without_a_spread_is_drawn(tmp_path: Path) -> None:
    draw([ArmPoint("one", {"MACs kept": [0.3]}, [0.9])], [], "accuracy", tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ([0.98, 0.97, 0.96, 0.3], [0.98, 0.97, 0.96]),
        ([0.85, 0.82, 0.80], [0.85, 0.82, 0.80]),
        ([0.9, 0.9], [0.9, 0.9]),
        ([0.9, 0.9, 0.1], [0.9, 0.9, 0.1]),
    ],
)
def test_what_is_far_below_the_others_is_not_in_the_picture(scores: list[float], shown: list[float]) -> None:
    assert [score for score in scores if score >= floor(scores)] == shown


def test_what_is_best_at_its_cost_is_in_the_picture_however_low() -> None:
    kept = {"mild": (0.5, 0.98), "mild too": (0.51, 0.97), "mild, lost": (0.49, 0.1), "strong": (0.1, 0.6)}
    arms = [ArmPoint(name, {"MACs": [share]}, [score]) for name, (share, score) in kept.items()]
    assert [arm.name for arm in seen(arms, "MACs")] == ["mild", "mild too", "strong"]
