"""Checkpoints, early stopping, loggers: none of them mixes the dense network with the cut one."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import Logger
from small import Spy, Widths, cutter, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def test_the_last_checkpoint_of_the_first_phase_is_dense_and_none_of_its_scores_counts_later(tmp_path):
    checkpoints = ModelCheckpoint(tmp_path, "{epoch}", monitor="val_loss", save_last=True)
    scores = {}

    def look(trainer, pl_module):
        scores[trainer.current_epoch] = (checkpoints.best_model_score, len(checkpoints.best_k_models))

    model, _ = fit(cutter(), Spy(look), checkpoints, epochs=3)
    assert scores[2][1] == 1
    assert scores[3] == (None, 0)
    files = {path.stem: torch.load(path, weights_only=True) for path in tmp_path.glob("*.ckpt")}
    dense = [content for content in files.values() if content["epoch"] < 3]
    assert len(dense) == 1
    assert dense[0]["state_dict"]["net.0.weight"].shape[0] == 8
    best = torch.load(checkpoints.best_model_path, weights_only=True)
    assert best["epoch"] >= 3
    assert best["state_dict"]["net.0.weight"].shape == model.net[0].weight.shape


def test_early_stopping_leads_to_the_cut_and_starts_anew():
    stop = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    cut, widths = cutter(), Widths()
    states = Spy(lambda trainer, pl_module: (stop.wait_count, trainer.should_stop, trainer.min_epochs))
    _, runner = fit(cut, widths, states, stop, epochs=9)
    assert widths.seen["start"][:2] == [8, 8]
    assert widths.seen["start"][2] < 8
    assert states.seen[2] == (0, False, 0)
    # The same patience ends fine-tuning as well.
    assert runner.current_epoch == 4


def test_early_stopping_waits_for_min_epochs():
    stop = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    cut, widths = cutter(), Widths()
    fit(cut, widths, stop, epochs=9, min_epochs=4)
    assert widths.seen["start"][:5].count(8) == 4


def test_early_stopping_between_the_validations_of_an_epoch():
    cut, widths = cutter(), Widths()
    fit(cut, widths, EarlyStopping("val_loss", patience=1, min_delta=100.0), epochs=9, val_check_interval=0.5)
    assert widths.seen["start"][0] == 8
    assert widths.seen["start"][1] < 8


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
