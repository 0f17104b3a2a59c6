"""Histograms reach the loggers that can show them, on the first process, and no others."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from tiny import Module, hand_made_trace, loader, trainer

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.session import session as session_module
from physprune_pl.callbacks.tracker.histograms import log_histograms

TAGS = {"physprune/strengths", "physprune/strengths/one", "physprune/strengths/two"}
STRENGTHS = {"one": torch.tensor([1.0, 2.0]), "two": torch.tensor([3.0, 4.0, 5.0])}


class FakeTensorBoard(TensorBoardLogger):
    """A logger that keeps its histograms, with no file behind it."""

    def __init__(self):
        self.kept = {}
        self._writer = SimpleNamespace(add_histogram=self.keep)

    @property
    def experiment(self):
        return self._writer

    def keep(self, tag, values, step):
        self.kept[tag] = values.tolist(), step


class FakeWandb(WandbLogger):
    """A logger that keeps its metrics, without the service."""

    def __init__(self):
        self.kept = []

    def log_metrics(self, metrics, step=None):
        self.kept.append((metrics, step))


def run(*loggers, first=True):
    return SimpleNamespace(loggers=list(loggers), is_global_zero=first, global_step=7)


def test_tensorboard_gets_every_group_and_all_channels(tmp_path):
    logger = FakeTensorBoard()
    log_histograms(run(CSVLogger(tmp_path), logger), STRENGTHS)
    assert logger.kept == {
        "physprune/strengths/one": ([1, 2], 7),
        "physprune/strengths/two": ([3, 4, 5], 7),
        "physprune/strengths": ([1, 2, 3, 4, 5], 7),
    }


def test_weights_and_biases_gets_them_in_one_call(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Histogram=np.ndarray.tolist))
    logger = FakeWandb()
    log_histograms(run(logger), STRENGTHS)
    ((metrics, step),) = logger.kept
    assert (set(metrics), step) == (TAGS, 7)
    assert metrics["physprune/strengths/two"] == [3, 4, 5]


def test_only_the_first_process_writes():
    logger = FakeTensorBoard()
    log_histograms(run(logger, first=False), STRENGTHS)
    assert logger.kept == {}


def test_after_a_divergence_only_finite_values_are_drawn():
    logger = FakeTensorBoard()
    log_histograms(run(logger), {"one": torch.tensor([float("nan")]), "two": torch.tensor([2.0, float("inf")])})
    assert logger.kept == {"physprune/strengths/two": ([2], 7), "physprune/strengths": ([2], 7)}


@pytest.mark.parametrize(("every", "steps"), [(1, [2, 4, 6]), (2, [4])])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_a_fit_fills_the_event_file(tmp_path, monkeypatch, every, steps):
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is no dependency"
    )
    monkeypatch.setattr(session_module, "trace", hand_made_trace)
    logger = TensorBoardLogger(tmp_path)
    tracker = ChannelTracker(every_n_epochs=every)
    trainer(tracker, epochs=3, logger=logger).fit(Module(), loader(2))
    events = accumulators.EventAccumulator(logger.log_dir, size_guidance={"histograms": 0}).Reload()
    assert set(events.Tags()["histograms"]) == TAGS
    found = events.Histograms("physprune/strengths/two")
    assert [one.step for one in found] == steps
    history = tracker.history()["strength/two"]
    # The file holds the sum as it was before the history rounded.
    assert [one.histogram_value.sum for one in found] == pytest.approx(history.sum(axis=1), rel=2.0**-11)
    assert "physprune/concentration/two" in events.Tags()["scalars"]


def test_a_fast_dev_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "trace", hand_made_trace)
    logger = FakeTensorBoard()
    trainer(ChannelTracker(), logger=logger, fast_dev_run=True, default_root_dir=tmp_path).fit(Module(), loader(2))
    assert logger.kept == {}
