"""The three pictures are drawn from a tracker's history and a report."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reported import REPORT

from experiments.training.pictures import plot_run, plot_strengths, plot_widths
from physprune_pl.reports.drawing import History, alive_share


@pytest.fixture
def history() -> History:
    """Four epochs of two groups, half of the first cut after the second epoch."""
    first = np.array([[4, 3, 2, 1], [4, 3, 0.01, 0], [4, 3, np.nan, np.nan], [4, 3, np.nan, np.nan]])
    return {
        "epochs": np.arange(4),
        "phases": np.array(["sparsify", "sparsify", "finetune", "finetune"]),
        "strength/a": first,
        "strength/b": np.ones((4, 2)),
        "distance/a": np.zeros((4, 4)),
    }


def test_pictures_are_written(history: History, tmp_path: Path) -> None:
    plot_strengths(history, tmp_path / "strengths.png")
    plot_widths(REPORT, tmp_path / "widths.png")
    plot_run(history, {0: 0.5, 1: 0.9, 2: 0.8, 3: 0.95}, REPORT, tmp_path / "run.png")
    for name in ("strengths", "widths", "run"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_share_of_channels_that_are_alive(history: History) -> None:
    assert alive_share(history).tolist() == pytest.approx([1, 4 / 6, 4 / 6, 4 / 6])


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="strength/<group>"):
        plot_strengths({"epochs": np.arange(2)}, tmp_path / "strengths.png")
    with pytest.raises(ValueError, match="at least one group"):
        plot_widths(replace(REPORT, groups=[]), tmp_path / "widths.png")


def test_without_matplotlib_the_extra_is_named(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"physprune_pl\[report\]"):
        plot_strengths(history, tmp_path / "strengths.png")
