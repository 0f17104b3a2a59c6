"""Sweeps: failures are kept out of Hydra's way, several processes are refused; whole sweeps of train.py are slow."""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from configured import QUIET, ROOT, TINY
from configured import config_of as composed
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from experiments.training.sweeps.sweep import SweepSummary, command_of_job, refuse_several_processes, several_processes

INSTALLED = {one.metadata["Name"] for one in distributions()}


def job_config(folder: Path, mode: str = "MULTIRUN") -> DictConfig:
    from hydra.types import RunMode

    hydra = {"mode": RunMode[mode], "runtime": {"output_dir": str(folder)}, "sweep": {"dir": str(folder)}}
    return OmegaConf.create({"inspect": False, "hydra": hydra})


def returned(value: object, status: JobStatus) -> JobReturn:
    result = JobReturn(overrides=["seed=1"], status=status)
    result.return_value = value
    return result


def test_a_failed_job_of_a_sweep_leaves_a_note_and_scores_nan(tmp_path: Path) -> None:
    result = returned(ValueError("no"), JobStatus.FAILED)
    SweepSummary().on_job_end(job_config(tmp_path), result)
    assert result.return_value != result.return_value
    note = json.loads((tmp_path / "failure.json").read_text())
    assert note["error"] == "ValueError: no"
    assert "ValueError: no" in note["traceback"]
    SweepSummary().on_job_end(job_config(tmp_path), returned(0.5, JobStatus.COMPLETED))
    assert not (tmp_path / "failure.json").exists()


def test_a_single_run_that_fails_raises(tmp_path: Path) -> None:
    result = returned(ValueError("no"), JobStatus.FAILED)
    SweepSummary().on_job_end(job_config(tmp_path, "RUN"), result)
    with pytest.raises(ValueError, match="no"):
        _ = result.return_value
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "several"),
    [
        ((), False),
        (("trainer=gpu",), False),
        (("trainer=gpu", "trainer.devices=[3]"), False),
        (("trainer=ddp", "trainer.devices=1"), False),
        (("trainer=ddp",), True),
        (("trainer.devices=2",), True),
        (("trainer.devices=[0,1]",), True),
        (("trainer.devices=-1",), True),
        (("+trainer.num_nodes=2",), True),
    ],
)
def test_several_processes_are_recognised(overrides: tuple[str, ...], several: bool) -> None:
    assert several_processes(composed(*overrides).trainer) is several


def test_a_sweep_on_several_processes_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = composed("trainer=ddp")
    with pytest.raises(SystemExit, match=r"trainer\.devices=1"):
        SweepSummary().on_multirun_start(config)
    refuse_several_processes(config.trainer)  # a run of its own may have them
    monkeypatch.setattr(HydraConfig.instance(), "cfg", job_config(tmp_path))
    with pytest.raises(ValueError, match=r"joblib"):
        refuse_several_processes(config.trainer)


def test_a_job_has_a_command_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command_of_job() is None
    page = OmegaConf.merge(job_config(Path()), {"hydra": {"overrides": {"task": ["force=uniform", "ignore=[a b]"]}}})
    monkeypatch.setattr(HydraConfig.instance(), "cfg", page)
    assert command_of_job() == "python train.py force=uniform 'ignore=[a b]'"


def swept(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", *arguments, *TINY, *QUIET, f"hydra.sweep.dir={folder}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def check_that_one_of_three_failed(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED: job 1" in done.stdout
    page = json.loads((folder / "summary.json").read_text())
    assert [one["job"] for one in page["jobs"]] == ["0", "2"]
    assert "round_to" in page["failed"][0]["error"]
    assert (folder / "pareto.png").exists()
    assert page["command"].startswith("python train.py -m ")


# The second job fails: no group can keep a multiple of -1 channels.
ONE_FAILS = ("-m", "force=uniform", "round_to=null,-1,2")


@pytest.mark.slow
def test_a_sweep_outlives_a_failed_job(tmp_path: Path) -> None:
    check_that_one_of_three_failed(swept(tmp_path, *ONE_FAILS), tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("hydra-joblib-launcher" not in INSTALLED, reason="needs physprune_pl[sweep]")
def test_jobs_can_run_side_by_side(tmp_path: Path) -> None:
    parallel = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    check_that_one_of_three_failed(swept(tmp_path, *ONE_FAILS, *parallel), tmp_path)


@pytest.mark.slow
def test_the_sweep_of_all_laws_has_a_summary(tmp_path: Path) -> None:
    laws = ("hparams_search=laws", "hydra.sweeper.params.seed=0", "hydra.sweeper.params.force='uniform,gravity'")
    done = swept(tmp_path, *laws)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [arm["arm"] for arm in json.loads((tmp_path / "summary.json").read_text())["arms"]] == [
        "force=uniform",
        "force=gravity",
    ]


@pytest.mark.slow
def test_a_sweep_with_ddp_stops_before_training(tmp_path: Path) -> None:
    done = swept(tmp_path, "-m", "trainer.devices=2", "seed=0,1")
    assert done.returncode == 1
    assert "Give every job one process" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif("hydra-submitit-launcher" not in INSTALLED, reason="needs physprune_pl[cluster]")
def test_jobs_can_be_submitted(tmp_path: Path) -> None:
    # On a cluster it is hydra/launcher=submitit_slurm.
    done = swept(tmp_path, "-m", "force=uniform", "seed=0,1", "hydra/launcher=submitit_local")
    assert done.returncode == 0, done.stdout + done.stderr
    page = json.loads((tmp_path / "summary.json").read_text())
    assert [one["seed"] for one in page["jobs"]] == [0, 1]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    sweep = ("-m", "force=uniform", "seed=0,1")
    assert swept(tmp_path, *sweep).returncode == 0
    whole = json.loads((tmp_path / "summary.json").read_text())["jobs"]
    # As if it had been killed in the second job, after the first epoch's checkpoint.
    for name in ("report.json", "report.html"):
        (tmp_path / "1" / name).unlink()
    first = (tmp_path / "0" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    done = swept(tmp_path, *sweep, "ckpt_path=last")
    assert done.returncode == 0, done.stdout + done.stderr
    again = json.loads((tmp_path / "summary.json").read_text())["jobs"]
    assert [one["metric"] for one in again] == [one["metric"] for one in whole]
    assert (tmp_path / "0" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == first
