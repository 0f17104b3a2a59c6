"""The three lines in modules that look as those of real libraries do: they run, cut, save, load and resume."""

import pytest
import torch
from client_batches import BATCHES
from client_steps import STEPS
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from physprune_pl import load_pruned, physics_pruning

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
QUIET |= {"log_every_n_steps": 1}
EPOCHS, FINETUNE = 3, 2


def fit(style, folder, ckpt_path=None):
    """Fit with the three lines; return the module, its trainer and the report."""
    seed_everything(0, verbose=False)
    module, callbacks = style(), physics_pruning(target={"macs": 0.6}, finetune_epochs=FINETUNE)
    files = ModelCheckpoint(folder, "{epoch}", save_top_k=-1)
    trainer = Trainer(max_epochs=EPOCHS, callbacks=[*callbacks, files], **QUIET)
    trainer.fit(module, module.loader(), module.loader(), ckpt_path=ckpt_path)
    return module, trainer, callbacks[-1].report


def validated(module):
    """Return the validation loss."""
    seed_everything(1, verbose=False)
    trainer = Trainer(enable_checkpointing=False, **QUIET)
    return trainer.validate(module, module.loader(), verbose=False)[0]["val_loss"]


@pytest.mark.parametrize("style", [*BATCHES, *STEPS], ids=lambda one: one.__name__)
@pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning")
@pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`:UserWarning")
@pytest.mark.filterwarnings("ignore:path. 2 weights of the model are not in the file:UserWarning")
def test_the_three_lines_run_in(style, tmp_path):
    module, trainer, report = fit(style, tmp_path)
    assert report.macs["pruned"] / report.macs["dense"] == pytest.approx(0.6, abs=0.05)
    assert trainer.current_epoch == EPOCHS + FINETUNE

    loss = validated(module)
    seed_everything(0, verbose=False)
    loaded = load_pruned(style(), tmp_path / f"epoch={EPOCHS + FINETUNE - 1}.ckpt")
    assert validated(loaded) == pytest.approx(loss, rel=1e-5)

    resumed, _, _ = fit(style, tmp_path, tmp_path / f"epoch={EPOCHS}.ckpt")
    assert validated(resumed) == pytest.approx(loss, rel=1e-4)
    assert all(map(torch.equal, module.state_dict().values(), resumed.state_dict().values()))
