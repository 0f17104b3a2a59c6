"""Checkpoints, early stopping, loggers: none of them mixes the dense network with the cut one."""

import pytest
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
)
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
