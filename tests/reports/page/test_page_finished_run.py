"""What lies in the folder of a run is found and read."""

import os
from pathlib import Path

import numpy as np
import pytest
from run_folders import CUT, report, run_folder

from physprune_pl.reports.page.channel_pictures import cut_channels
from physprune_pl.reports.page.finished_run import read_curves, read_run


def test_everything_that_a_run_leaves_is_read(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path))
    assert run.report == report()
    assert run.history is not None
    assert run.history["strength/net.conv1"].shape == (5, 4)
    assert run.curves["train/loss"] == {0: 1.5, 1: 0.5}
    assert run.curves["val/acc"] == {0: 0.5, 1: 0.75}
    assert run.settings == {".hydra/config.yaml": "seed: 3\nforce: exponential\n"}


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    report().save(tmp_path)
    run = read_run(tmp_path)
    assert (run.history, run.curves, run.settings) == (None, {}, {})


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder: expected one with the report\.json of a run"):
        read_run(tmp_path)


def test_the_least_deep_file_counts_and_of_several_the_newest(tmp_path: Path) -> None:
    run_folder(tmp_path)
    for name, time in (("a", 2000), ("b", 1000)):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "metrics.csv").write_text(f"epoch,val\n0,{time}\n")
        os.utime(tmp_path / name / "metrics.csv", (time, time))
    (tmp_path / "logs" / "metrics.csv").rename(tmp_path / "a" / "deep" / "metrics.csv")
    assert read_run(tmp_path).curves["val"] == {0: 2000.0}


def test_an_epoch_that_was_run_twice_counts_as_it_was_run_last(tmp_path: Path) -> None:
    (tmp_path / "metrics-1.csv").write_text("epoch,val\n0,1\n1,2\n")
    (tmp_path / "metrics-2.csv").write_text("epoch,val\n1,3\n2,4\n")
    (tmp_path / "metrics.csv").write_text("epoch,val\n2,5\n,\n")
    report().save(tmp_path)
    assert read_run(tmp_path).curves["val"] == {0: 1.0, 1: 3.0, 2: 5.0}
    assert read_curves([]) == {}


@pytest.mark.parametrize("phases", [["sparsify", "finetune"], ["sparsify", "sparsify"]])
def test_cut_channels_are_those_that_are_gone_or_those_that_steering_chose(phases: list[str]) -> None:
    strength = np.ones((2, 4))
    history = {"phases": np.array(phases), "strength/a": strength}
    if "finetune" in phases:
        strength[1, CUT["net.conv1"]] = np.nan
    else:
        assert cut_channels(history, "a") is None
        history["chosen/a"] = np.array([[0, 0, 0, 0], [0, 1, 0, 1]])
    assert cut_channels(history, "a").tolist() == [False, True, False, True]
