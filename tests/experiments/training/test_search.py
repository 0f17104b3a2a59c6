"""The search: what Optuna is asked and told, how a killed search goes on; whole searches of train.py are slow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from configured import QUIET, ROOT, TINY
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.training.sweeps.search import (
    Search,
    again,
    batches,
    distribution,
    outcome,
    settings,
    study_in,
    tell,
    write_front,
)

optuna = pytest.importorskip("optuna", reason="needs physprune_pl[search]")
FloatDistribution = pytest.importorskip("optuna.distributions", reason="needs optuna").FloatDistribution

pytestmark = pytest.mark.filterwarnings("ignore:.*is experimental")


def parsed(text: str) -> Any:
    return distribution(OverridesParser.create().parse_override(text))


def test_sweeps_of_the_command_line_are_distributions() -> None:
    assert parsed("target.macs=interval(0.1, 0.6)") == FloatDistribution(0.1, 0.6)
    assert parsed("optimizer.lr=tag(log, interval(0.01, 0.2))") == FloatDistribution(0.01, 0.2, log=True)
    assert parsed("force=choice(uniform, gravity)").choices == ("uniform", "gravity")
    assert parsed("force=uniform,gravity").choices == ("uniform", "gravity")
    assert parsed("seed=range(1, 4)").choices == ("1", "2", "3")


@pytest.mark.parametrize("name", ["trials", "at_once"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        Search({}, **{"trials": 1, name: 0})


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    space = {"x": FloatDistribution(0.0, 1.0)}
    study = study_in(tmp_path, seed=0)
    rounds = batches(study, space, trials=4, at_once=2)
    first = next(rounds)
    assert first == [0, 1]
    tell(study, 0, (0.9, 0.5))
    wanted = settings(study, 1)  # killed before trial 1 told anything

    study = study_in(tmp_path, seed=0)
    rounds = batches(study, space, trials=4, at_once=2)
    assert next(rounds) == [1]
    assert settings(study, 1) == wanted
    tell(study, 1, None)  # it failed
    assert next(rounds) == [2, 3]
    tell(study, 2, (0.8, 0.6))
    tell(study, 3, (0.7, 0.2))
    assert list(rounds) == []
    write_front(study, tmp_path / "search.json")
    page = json.loads((tmp_path / "search.json").read_text())
    assert page["trials"] == 4
    assert [(row["job"], row["metric"], row["macs_kept"]) for row in page["front"]] == [(3, 0.7, 0.2), (0, 0.9, 0.5)]


def test_what_a_job_came_to(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert outcome(0.5, report) is None
    report.write_text(json.dumps({"macs": {"dense": 200, "pruned": 50}}))
    assert outcome(0.5, report) == (0.5, 0.25)
    assert outcome(float("nan"), report) is None
    assert outcome(None, report) is None


def test_a_job_that_was_cut_off_takes_its_last_checkpoint(tmp_path: Path) -> None:
    assert again(tmp_path) == []
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert again(tmp_path) == ["ckpt_path=last"]


def searched(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", "hparams_search=optuna", *arguments, *TINY, *QUIET]
    return subprocess.run(
        [*command, f"hydra.sweep.dir={folder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_search_of_train_py_can_be_made_longer(tmp_path: Path) -> None:
    for trials in (1, 3):
        done = searched(tmp_path, f"hydra.sweeper.trials={trials}")
        assert done.returncode == 0, done.stdout + done.stderr
        page = json.loads((tmp_path / "search.json").read_text())
        assert page["trials"] == trials
        assert 0 < page["front"][0]["macs_kept"] < 0.7
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["0", "1", "2"]
    assert len(json.loads((tmp_path / "summary.json").read_text())["jobs"]) == 3
