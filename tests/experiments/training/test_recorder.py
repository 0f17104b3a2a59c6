"""The recorder of a run keeps the weights before the cut, on the process that writes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from experiments.training.recorder import RunRecorder


def start(recorder: RunRecorder, rank: int = 0) -> None:
    trainer: Any = SimpleNamespace(is_global_zero=rank == 0)
    model: Any = nn.Linear(2, 1)
    recorder.on_fit_start(trainer, model)


def recorder_of(folder: Path, plan: object = None) -> RunRecorder:
    pruner: Any = SimpleNamespace(record=SimpleNamespace(phase="sparsify" if plan is None else "finetune"))
    return RunRecorder(folder, pruner, "val/acc")


def test_the_first_process_writes_and_the_others_wait_for_no_file(tmp_path: Path) -> None:
    start(recorder_of(tmp_path), rank=1)
    assert not list(tmp_path.iterdir())
    start(recorder_of(tmp_path))
    assert torch.load(tmp_path / "sparsified.pt").keys() == {"weight", "bias"}


def test_after_the_cut_the_weights_of_the_old_run_are_taken(tmp_path: Path) -> None:
    old = recorder_of(tmp_path / "old")
    start(old)
    new = recorder_of(tmp_path / "new", plan=object())
    new.path.parent.mkdir()
    new.load_state_dict(old.state_dict())
    start(new)
    assert new.path.read_bytes() == old.path.read_bytes()


def test_without_them_the_resume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="needs the weights before it"):
        start(recorder_of(tmp_path, plan=object()))
