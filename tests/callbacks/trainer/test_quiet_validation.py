"""The validation right after the cut is seen by nobody: no callback, logger, bar or generator."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    EarlyStopping,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import Logger
from small import Spy, cutter, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Counter(Logger):
    name, version, experiment = "counter", 0, None

    def __init__(self):
        super().__init__()
        self.logged = []

    def log_metrics(self, metrics, step=None):
        self.logged += [name for name in metrics if name == "val_loss"]

    def log_hyperparams(self, params, *args, **kwargs):
        """Nothing to keep."""


class Judge(EarlyStopping):
    def __init__(self):
        super().__init__("val_loss", patience=99)
        self.calls = 0

    def on_validation_end(self, trainer, pl_module):
        self.calls += not trainer.sanity_checking


def test_nobody_sees_the_validation_after_the_cut():
    logger, judge, cut = Counter(), Judge(), cutter()
    before = Spy(lambda trainer, pl_module: dict(trainer.callback_metrics))
    after = Spy(before.look)
    fit(before, cut, after, judge, logger=logger)
    assert len(logger.logged) == judge.calls == 4
    assert before.seen == after.seen
    assert cut.report.metric["after_cut"] is not None


def test_the_validation_after_the_cut_leaves_counters_and_generators_alone():
    def look(trainer, pl_module):
        loop = trainer.fit_loop.epoch_loop.val_loop
        return torch.get_rng_state(), loop.batch_progress.state_dict(), dict(loop._seen_batches_per_dataloader)

    before, after = Spy(look), Spy(look)
    fit(before, cutter(), after)
    assert torch.equal(before.seen[2][0], after.seen[2][0])
    assert before.seen[2][1:] == after.seen[2][1:]


def test_with_a_progress_bar_and_a_logger(tmp_path):
    model, _ = fit(cutter(), TQDMProgressBar(), logger=CSVLogger(tmp_path), enable_progress_bar=True)
    assert model.net[0].out_channels < 8


class Drawn(TQDMProgressBar):
    """Notes which bar the trainer finds while a batch is validated, as a thread that draws would, and what it draws."""

    def __init__(self):
        super().__init__()
        self.drawn = 0

    def on_validation_batch_end(self, *args, **kwargs):
        super().on_validation_batch_end(*args, **kwargs)
        self.drawn += 1


class Found(Callback):
    def __init__(self):
        self.bars = []

    def on_validation_batch_start(self, trainer, *args):
        self.bars.append(trainer.progress_bar_callback)


def test_the_bar_is_found_but_draws_nothing_in_the_validation_after_the_cut():
    bar, found = Drawn(), Found()
    fit(cutter(), found, bar, enable_progress_bar=True)
    assert all(isinstance(one, Drawn) for one in found.bars)
    assert 0 < bar.drawn == sum(one is bar for one in found.bars) < len(found.bars)
    assert all(one.drawn <= bar.drawn for one in found.bars)
