"""Pages of a run whose channels went in waves: what steered them, what pressed them, and what was left when."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from reported import REPORT

from physprune_pl.reports.drawing import draw_left
from physprune_pl.reports.page.channel_pictures import cut_channels, law_overview, law_picture, pressed
from physprune_pl.reports.page.run_pictures import arrival_picture, coefficients_picture, left_picture, steered

NAN = np.nan
GONE = np.array([[1.0, 0.5, 0.2, 2.0], [1.0, 0.5, NAN, 2.0], [1.0, NAN, NAN, 2.0], [1.0, NAN, NAN, 2.0]])


@pytest.fixture
def history():
    """Two waves of an epoch each, one epoch without a force, one of fine-tuning."""
    pressed = np.array([[1.0] * 4, [1.0, 1.0, NAN, 1.0], [NAN] * 4, [NAN] * 4])
    return {
        "epochs": np.arange(4),
        "phases": np.array(["sparsify"] * 3 + ["finetune"]),
        "strength/conv": GONE,
        "distance/conv": np.where(np.isnan(GONE), NAN, np.arange(4.0)),
        "coefficient/conv": pressed,
        "chosen/conv": np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, NAN, 0.0], [NAN] * 4, [NAN] * 4]),
        "group_coefficient/conv": np.array([[0.1], [0.2], [NAN], [NAN]]),
        "remaining/conv": np.array([[0.3], [0.01], [NAN], [NAN]]),
        "planned": np.array([[0.2], [0.0], [NAN], [NAN]]),
    }


def test_epochs_without_a_force_are_not_steered(history):
    assert steered(history) == ["conv"]
    assert "at most 1.0% at the end" in arrival_picture(history, ["conv"])
    assert "1 groups" in coefficients_picture(history, ["conv"])


def test_the_law_is_that_of_the_last_epoch_under_the_force(history):
    assert pressed(history, "conv")
    assert "conv" in law_picture(history, "conv", "conv")
    assert "1 groups" in law_overview(history, ["conv"])


def test_what_went_in_any_wave_was_cut(history):
    assert cut_channels(history, "conv").tolist() == [False, True, True, False]
    running = {name: table[:2] for name, table in history.items()}
    assert cut_channels(running, "conv").tolist() == [False, True, True, False]
    over = {name: table[:3] for name, table in history.items()}
    assert cut_channels(over, "conv").tolist() == [False, True, True, False]


def test_macs_fall_epoch_by_epoch(history):
    def kept(*by_epoch):
        axis = Figure().subplots()
        draw_left(axis, history, {"dense": 10, "pruned": 4}, by_epoch)
        return axis.lines[0].get_ydata().tolist()

    assert kept(10, 7, 4, 4) == [1.0, 0.7, 0.4, 0.4]
    assert kept() == [1.0, 1.0, 1.0, 0.4]
    assert "MACs end at 30%" in left_picture(history, REPORT)
