"""train.py as a program."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from configured import GROUPS, QUIET, ROOT, SMALL, TINY

pytestmark = pytest.mark.slow


def program(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "train.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run(tmp_path: Path) -> None:
    said = program(*TINY, "experiment=demo", "force=gravity", f"hydra.run.dir={tmp_path}")
    assert "Pruning report" in said
    assert (tmp_path / "logs" / "metrics.csv").exists()
    assert "force=gravity" in json.loads((tmp_path / "report.json").read_text())["command"]


def test_help_teaches() -> None:
    said = program("--help")
    assert all(f"\n{group}: " in said for group in {*GROUPS} - {"hydra"})
    assert said.count("  python train.py") >= 12
    assert all(word in said for word in ("report.json", "ckpt_path=last", "inspect=true", "summary"))
    assert "_target_:" not in said


def test_the_configuration_is_printed() -> None:
    said = program("--cfg", "job", "force=gravity")
    assert said.startswith("seed: 0\n")
    assert "orientation: far" in said


def test_a_wrong_key_and_a_wrong_choice_are_answered() -> None:
    said = program("trgt.macs=0.3", code=1)
    assert "Did you mean target?" in said
    assert "Traceback" not in said
    assert "torque" in program("force=magnetism", code=1)


def test_inspect_stops_before_training(tmp_path: Path) -> None:
    said = program("inspect=true", "model=lenet5", f"hydra.run.dir={tmp_path}")
    assert "groups cut" in said
    assert {path.name for path in tmp_path.iterdir()} == {".hydra", "train.log"}


def test_two_processes(tmp_path: Path) -> None:
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    tiny = [one for one in (*SMALL, "finetune.epochs=1", *QUIET) if one != "trainer=cpu"]
    said = program(*tiny, *two, f"hydra.run.dir={tmp_path}")
    assert said.count("Pruning report") == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["macs"]["pruned"] <= 0.32 * report["macs"]["dense"]
    assert report["metric"]["after_finetune"] is not None
    assert (tmp_path / "run.png").exists()
