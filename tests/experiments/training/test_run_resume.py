"""Where an interrupted run goes on."""

from pathlib import Path

import pytest

from experiments.training.resume import checkpoint_to_resume


def test_a_fresh_start(tmp_path: Path) -> None:
    assert checkpoint_to_resume(None, tmp_path) is None


def test_the_last_checkpoint_of_the_folder(tmp_path: Path) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.touch()
    assert checkpoint_to_resume("last", tmp_path) == str(last)
    assert checkpoint_to_resume(str(last), tmp_path / "elsewhere") == str(last)


def test_last_without_a_checkpoint_starts_from_the_beginning_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"starts from the beginning.*hydra\.run\.dir"):
        assert checkpoint_to_resume("last", tmp_path) is None


def test_a_path_without_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt"):
        checkpoint_to_resume(str(tmp_path / "none.ckpt"), tmp_path)
