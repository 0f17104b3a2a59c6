"""A figure of the report is of the moment that it names, and no weights are kept for want of a validation."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from safe_load import SAFE_LOAD
from small import Classifier, Saver, cutter, data, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Clock(Classifier):
    """What validation finds is when it ran, in optimizer steps; an epoch has three."""

    def __init__(self):
        super().__init__()
        self.validations = 0

    def on_validation_epoch_end(self):
        self.validations += 1
        self.log("at", float(self.global_step))


RARE = [
    {"check_val_every_n_epoch": 2},
    {"check_val_every_n_epoch": 99},
    {"val_check_interval": 2},
    {"val_check_interval": 7, "check_val_every_n_epoch": None},
    {"limit_val_batches": 1},
    {},
]


@pytest.mark.parametrize("limits", RARE)
@pytest.mark.parametrize("finetune_epochs", [0, 3])
def test_every_figure_is_of_its_moment(limits, finetune_epochs):
    cut = cutter(monitor="at", mode="max", finetune_epochs=finetune_epochs)
    fit(cut, model=Clock(), epochs=3, **limits)
    found = [cut.report.metric[moment] for moment in ("after_sparsify", "after_cut", "after_finetune")]
    assert found == [9, 9, 18 if finetune_epochs else None]


def test_without_validation_there_are_no_figures():
    cut = cutter()
    fit(cut, model=Clock(), limit_val_batches=0)
    assert cut.record.metrics == {"after_sparsify": {}, "after_cut": {}, "after_finetune": {}}


@pytest.mark.parametrize("limits", [{}, {"check_val_every_n_epoch": 3}])
def test_what_is_known_is_not_validated_again(limits):
    # Three epochs of each phase, the sanity check, and one validation after the cut.
    model, _ = fit(cutter(finetune_epochs=3), model=Clock(), epochs=3, **limits)
    validated = 6 // limits.get("check_val_every_n_epoch", 1)
    assert model.validations == 1 + validated + 1


@pytest.mark.parametrize(("mode", "kept"), [("max", "fine-tuned"), ("min", "cut")])
def test_fine_tuned_weights_that_nobody_validated_are_judged_at_the_end(mode, kept):
    seen = {}

    class Look(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.setdefault("cut" if trainer.current_epoch == 2 else "dense", pl_module.net[0].weight.detach().clone())

        def on_train_batch_end(self, trainer, pl_module, *_):
            seen["fine-tuned"] = pl_module.net[0].weight.detach().clone()

    cut = cutter(monitor="at", mode=mode)
    model, _ = fit(cut, Look(), model=Clock(), check_val_every_n_epoch=99)
    assert not torch.equal(seen["cut"], seen["fine-tuned"])
    assert torch.equal(model.net[0].weight, seen[kept])
    assert cut.report.metric["after_finetune"] == (12 if kept == "fine-tuned" else 6)


def test_a_resumed_phase_knows_when_it_was_validated(tmp_path):
    fit(cutter(), Saver(tmp_path), model=Clock(), epochs=2, check_val_every_n_epoch=2)
    counts = []
    for epoch in (0, 1):
        cut = cutter(monitor="at", mode="max")
        model, _ = fit(cut, model=Clock(), ckpt_path=tmp_path / f"{epoch}.ckpt", check_val_every_n_epoch=2)
        assert cut.report.metric["after_sparsify"] == 6
        counts.append(model.validations)
    # The end of the phase is validated where it is trained, and not again.
    assert counts[0] == counts[1] + 1


# Files


def shapes(path):
    return torch.load(path, weights_only=True)["state_dict"]["net.0.weight"].shape


SAVED = [
    ({"monitor": "val_loss"}, {}, 0),
    ({"monitor": "val_loss", "save_last": True}, {}, 0),
    ({}, {}, 0),
    ({"monitor": "train_loss", "save_last": "link"}, {}, 0),
    ({"monitor": "val_loss", "save_top_k": 3}, {}, 0),
    ({"monitor": "val_loss", "every_n_epochs": 2, "save_last": True}, {}, 1),
    ({"monitor": "val_loss", "save_last": True}, {"check_val_every_n_epoch": 2}, 1),
    ({"every_n_train_steps": 4}, {}, 1),
]


@pytest.mark.parametrize(("options", "limits", "finetune_epochs"), SAVED)
def test_no_checkpoint_callback_names_a_file_of_another_shape(tmp_path, options, limits, finetune_epochs):
    files = ModelCheckpoint(tmp_path, **options)
    cut = cutter(finetune_epochs=finetune_epochs)
    model, run = fit(cut, files, **limits)
    small = model.net[0].weight.shape
    assert small[0] < 8
    assert shapes(files.best_model_path) == small
    if options.get("save_last"):
        assert shapes(files.last_model_path) == shapes(tmp_path / "last.ckpt") == small
    (found,) = run.test(model, data(), ckpt_path="best", verbose=False, **SAFE_LOAD)
    assert model.net[0].weight.shape == small
    if options.get("monitor") == "val_loss" and not finetune_epochs:
        assert found["val_loss"] == pytest.approx(cut.record.metrics["after_cut"]["val_loss"])
        assert float(files.best_model_score) == pytest.approx(found["val_loss"])
    # What the dense network was at its best stays on the disk.
    assert any(shapes(path)[0] == 8 for path in tmp_path.glob("epoch*.ckpt"))


def test_a_checkpoint_callback_that_keeps_no_best_file_still_writes_the_last(tmp_path):
    files = ModelCheckpoint(tmp_path, save_top_k=0, save_last=True)
    model, _ = fit(cutter(finetune_epochs=0), files)
    assert files.best_model_path == ""
    assert shapes(tmp_path / "last.ckpt") == model.net[0].weight.shape


def test_a_finished_phase_that_is_cut_on_resume_leaves_a_file_too(tmp_path):
    fit(Saver(tmp_path))
    files = ModelCheckpoint(tmp_path / "cut", monitor="val_loss")
    model, _ = fit(cutter(finetune_epochs=0), files, ckpt_path=tmp_path / "1.ckpt")
    assert shapes(files.best_model_path) == model.net[0].weight.shape
