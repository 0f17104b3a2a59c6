"""Heat maps reach the loggers that can show a picture, on the first process, once."""

from types import SimpleNamespace

import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from small import cutter, fit

from physprune_pl import ChannelTracker
from physprune_pl.callbacks.tracker.heat_maps import GONE, SIDE, heat_map, log_heat_maps

HISTORY = {"strength/one": np.ones((2, 3)), "l2/one": np.ones((2, 3)), "epochs": np.arange(2)}


class Fake:
    """Keeps its pictures, with no file behind it."""

    def __init__(self):
        self.kept = []

    def keep(self, tag, picture, step, **kwargs):
        self.kept.append((tag, np.shape(picture), step, kwargs))


class FakeTensorBoard(Fake, TensorBoardLogger):
    @property
    def experiment(self):
        return SimpleNamespace(add_image=self.keep)


class FakeWandb(Fake, WandbLogger):
    def log_image(self, key, images, step=None):
        self.keep(key, images, step)


def run(*loggers, first=True):
    return SimpleNamespace(loggers=list(loggers), is_global_zero=first, global_step=7)


def test_loggers_of_pictures_get_every_group(tmp_path):
    board, wandb = FakeTensorBoard(), FakeWandb()
    log_heat_maps(run(CSVLogger(tmp_path), board, wandb), HISTORY)
    size = (3 * 86, 2 * 86, 3)
    assert board.kept == [("physprune/heat_map/one", size, 7, {"dataformats": "HWC"})]
    assert wandb.kept == [("physprune/heat_map/one", (1, *size), 7, {})]


def test_other_processes_show_nothing():
    board = FakeTensorBoard()
    log_heat_maps(run(board, first=False), HISTORY)
    assert board.kept == []


def test_what_was_cut_is_no_grey_and_the_strongest_is_white():
    picture = heat_map(np.array([[0.0, 2.0, 1.0], [0.0, 4.0, np.nan]]))
    side = SIDE // 3 + 1
    cells = picture[::side, ::side]
    assert picture.shape == (3 * side, 2 * side, 3)
    assert cells[0].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert cells[1].tolist() == [[128, 128, 128], [255, 255, 255]]
    assert cells[2].tolist() == [[64, 64, 64], list(GONE)]


def test_nothing_but_zeros_and_diverged_strengths_are_drawn():
    assert not heat_map(np.zeros((2, 2))).any()
    assert heat_map(np.full((2, 2), np.inf))[0, 0].tolist() == list(GONE)


def test_a_fit_shows_dense_and_cut_epochs_in_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra of Lightning")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(cutter(), ChannelTracker(), logger=TensorBoardLogger(tmp_path))
    (folder,) = {path.parent for path in tmp_path.rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    (image,) = events.Images("physprune/heat_map/net.0")
    assert (image.height, image.width) == (256, 4 * 32)
