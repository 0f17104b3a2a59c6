"""The runner of the GPU tier: side by side, in slices, in order; a slice of real runs is slow."""

import sys
from pathlib import Path

import pytest
from configured import QUIET, SMALL

from experiments.bench.law_comparison import LawComparison
from experiments.gpu.run import COMPARISONS, tasks
from experiments.gpu.slices import Task, run_slice
from experiments.training.assembly import composed


def task(folder: Path, name: str, code: str = "pass", after: Path | None = None) -> Task:
    text = f"import pathlib, time; {code}; pathlib.Path({str(folder / name)!r}).touch()"
    return Task((sys.executable, "-c", text), folder / name, after)


def test_a_task_waits_for_the_file_of_another(tmp_path: Path) -> None:
    last = task(tmp_path, "last", f"assert pathlib.Path({str(tmp_path / 'first')!r}).exists()", tmp_path / "first")
    assert run_slice([last, task(tmp_path, "first")], jobs=2, seconds=60) == []


def test_what_takes_longer_than_a_slice_is_left_for_the_next(tmp_path: Path) -> None:
    slow, quick = task(tmp_path, "slow", "time.sleep(600)"), task(tmp_path, "quick")
    assert run_slice([slow, quick], jobs=2, seconds=20) == [slow]
    assert run_slice([quick], jobs=1, seconds=0) == []
    with pytest.raises(ValueError, match="jobs: expected at least 1, got 0"):
        run_slice([quick], jobs=0, seconds=1)


def test_a_task_that_fails_is_tried_once_a_slice(tmp_path: Path) -> None:
    failing = task(tmp_path, "never", f"open({str(tmp_path / 'log')!r}, 'a').write('x'); raise SystemExit(1)")
    assert run_slice([failing], jobs=1, seconds=60) == [failing]
    assert (tmp_path / "log").read_text() == "x"


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: one.name)
def test_every_run_composes_and_has_a_page(comparison: LawComparison) -> None:
    for one in tasks(comparison, comparison.seeds, Path("runs")):
        overrides = [part for part in one.command[2:] if not part.startswith("hydra.")]
        assert composed([*overrides, "paths.output=out"]).ckpt_path == "last"
    readme = Path(__file__).parents[2] / "experiments" / comparison.name / "README.md"
    assert "<!-- table -->" in readme.read_text()


@pytest.mark.slow
def test_a_slice_of_real_runs_on_the_cpu(tmp_path: Path) -> None:
    small = LawComparison("small", SMALL, 0.5, ("uniform",), 1, 1, (0,))
    found = list(tasks(small, (0,), tmp_path, QUIET))
    assert run_slice(found, jobs=2, seconds=500) == []
    assert [one.done.parent.parent.name for one in found] == ["dense", "uniform"]
    assert found[0].after is None
