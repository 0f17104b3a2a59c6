"""Rows on what a Trainer may be told: loaders, limits, stopping, what comes before and after a fit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateFinder, ModelCheckpoint
from lightning.pytorch.tuner.tuning import Tuner
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor

from experiments.reliability.fit_watch import finished, pruning
from experiments.reliability.network import Batch, Module, loader, network, quiet, task_loss
from experiments.reliability.setting import Setting, differing
from physprune_pl import load_pruned

INVARIANTS = "invariants"


def steered(folder: Path, **settings: Any) -> str:
    """Fit a module whose coefficients are steered; what was to go has arrived."""
    callbacks = pruning(coefficient="auto", finetune_epochs=1)
    del callbacks[-2]  # The watch knows fixed coefficients only.
    module = Module(**settings)
    trainer = quiet(folder, callbacks=callbacks, max_epochs=40)
    trainer.fit(module, loader(), loader())
    cut: Any = callbacks[-1]
    assert not cut.report.not_arrived, cut.report.not_arrived
    assert trainer.current_epoch == 41, differing(trainer.current_epoch, 41)
    return f"all groups arrived, {cut.report.params['pruned']} of {cut.report.params['dense']} parameters"


class SeveralLoaders(Module):
    """Trained on two sets at once."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Add the losses of both."""
        return task_loss(self, batch["small"]) + task_loss(self, batch["large"])


def refused(trainer: Any, module: Any, data: Any) -> str:
    """Say how a fit is refused, which has to be before the weights change."""
    before = copy.deepcopy(module.state_dict())
    try:
        trainer.fit(module, data)
    except (ValueError, TypeError) as error:
        after = module.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items()), "the weights have changed"
        return f"refused: {error}"
    raise AssertionError("expected an error")


def several_loaders(folder: Path) -> str:
    """Train on two loaders and validate on two."""
    callbacks = pruning()
    sets = CombinedLoader({"small": loader(2), "large": loader(4, seed=5)}, "max_size_cycle")
    module, trainer = SeveralLoaders(), quiet(folder, callbacks=callbacks)
    trainer.fit(module, sets, [loader(1), loader(2)])
    return finished(callbacks, trainer, module)


def limited(folder: Path, steps: int, **settings: Any) -> str:
    """Fit with a trainer of some settings; each epoch has some steps."""
    callbacks = pruning()
    module, trainer = Module(), quiet(folder, callbacks=callbacks, **settings)
    trainer.fit(module, loader(), loader())
    found = finished(callbacks, trainer, module)
    watch: Any = callbacks[-2]
    assert watch.pressed == steps, differing(watch.pressed, steps)
    return found


class Scored(Module):
    """Logs a score that falls up to an epoch and rises from there on."""

    worse_from = 0

    def on_validation_epoch_end(self) -> None:
        """Log the score."""
        self.log("score", float(abs(self.current_epoch - self.worse_from)))


def stopped(folder: Path, worse_from: int, epochs: tuple[int, int]) -> str:
    """Fit with early stopping; each phase then has so many epochs."""

    class Phases(Callback):
        """Notes the phase of each epoch."""

        seen: list[str]

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            """Note it."""
            self.seen.append(callbacks[0].session.phase)  # type: ignore[attr-defined]

    callbacks, phases, module = pruning(finetune_epochs=4), Phases(), Scored()
    phases.seen, module.worse_from = [], worse_from
    stopping = EarlyStopping("score", patience=1, mode="min")
    trainer = quiet(folder, callbacks=[phases, stopping, *callbacks], max_epochs=4)
    trainer.fit(module, loader(), loader())
    counts = phases.seen.count("sparsify"), phases.seen.count("finetune")
    assert counts == epochs, differing(counts, epochs)
    return f"{finished(callbacks, trainer, module)}; {counts[0]} + {counts[1]} epochs"


def after_the_fit(folder: Path) -> str:
    """Test and predict with the best checkpoint, and load it into a new network."""
    callbacks, best = pruning(), ModelCheckpoint(folder, monitor="val_loss")
    module = Module()
    trainer = quiet(folder, callbacks=[*callbacks, best], enable_checkpointing=True)
    trainer.fit(module, loader(), loader())
    found = finished(callbacks, trainer, module)
    (tested,) = trainer.test(module, loader(seed=4), ckpt_path="best", verbose=False)
    labels = torch.cat(trainer.predict(module, loader(seed=4), ckpt_path="best"))
    fresh = load_pruned(network(), best.best_model_path).eval()
    with torch.no_grad():
        batches: list[Batch] = list(loader(seed=4))
        expected = torch.cat([fresh(images).argmax(1) for images, _ in batches])
        loss = sum(float(task_loss(fresh, batch)) for batch in batches) / len(batches)
    assert torch.equal(labels, expected), "load_pruned predicts otherwise"
    assert abs(tested["test_loss"] - loss) < 1e-5, differing(tested["test_loss"], loss)
    return f"{found}; equal to the network of load_pruned"


def twice(folder: Path) -> str:
    """Fit the same module with the same trainer twice: the second fit cuts what the first has left."""
    progress: list[float] = []

    class Progress(Callback):
        """Notes how much of the sparsify phase is over."""

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
            """Note it."""
            session = callbacks[0].session  # type: ignore[attr-defined]
            if batch_idx == 0:
                progress.append(session.progress(trainer) if session.phase == "sparsify" else -1.0)

    callbacks, module = pruning(), Module()
    trainer = quiet(folder, callbacks=[*callbacks, Progress()])
    trainer.fit(module, loader(), loader())
    first = finished(callbacks, trainer, module)
    # A trainer goes on counting epochs where it ended.
    trainer.fit_loop.max_epochs = 6
    trainer.fit(module, loader(), loader())
    assert progress == [0.0, 0.5, -1.0, -1.0] * 2, progress
    return f"{first}; then {finished(callbacks, trainer, module)}"


def again_with_another_trainer(folder: Path) -> str:
    """Fit the same module with the same callbacks in a second trainer."""
    callbacks, module = pruning(), Module()
    found = []
    for _ in range(2):
        trainer = quiet(folder, callbacks=callbacks)
        trainer.fit(module, loader(), loader())
        found.append(finished(callbacks, trainer, module))
    return "; then ".join(found)


def rate_found_before(folder: Path) -> str:
    """Look for a learning rate with a tuner, then fit."""
    callbacks, module = pruning(), Module()
    trainer = quiet(folder, callbacks=callbacks)
    before = [value.clone() for value in module.state_dict().values()]
    Tuner(trainer).lr_find(module, loader(), min_lr=1e-4, max_lr=0.1, num_training=8)
    assert all(torch.equal(one, two) for one, two in zip(before, module.state_dict().values(), strict=True))
    trainer.fit(module, loader(), loader())
    return f"{finished(callbacks, trainer, module)}, after lr_find at {module.lr:.0e}"


def rate_found_inside(folder: Path) -> str:
    """Look for a learning rate with a callback at the start of the fit."""
    callbacks, module = pruning(), Module()
    finder = LearningRateFinder(min_lr=1e-4, max_lr=0.1, num_training_steps=8)
    trainer = quiet(folder, callbacks=[finder, *callbacks])
    trainer.fit(module, loader(), loader())
    return f"{finished(callbacks, trainer, module)}, at {module.lr:.0e}"


LOOPS = [
    Setting("steered, SGD with momentum", "every group arrives before the cut", steered),
    Setting(
        "steered, AdamW",
        "every group arrives before the cut",
        lambda folder: steered(folder, optimizer=lambda parameters, rate: torch.optim.AdamW(parameters, lr=0.1 * rate)),
    ),
    Setting("two training loaders, two validation loaders", INVARIANTS, several_loaders),
    Setting(
        "limit_train_batches=2, limit_val_batches=1",
        f"{INVARIANTS}; 2 steps an epoch",
        lambda folder: limited(folder, 4, limit_train_batches=2, limit_val_batches=1),
    ),
    Setting(
        "overfit_batches=1", f"{INVARIANTS}; 1 step an epoch", lambda folder: limited(folder, 2, overfit_batches=1)
    ),
    Setting(
        "fast_dev_run",
        f"{INVARIANTS}; 1 step a phase",
        lambda folder: limited(folder, 1, fast_dev_run=True, max_epochs=None),
    ),
    Setting("check_val_every_n_epoch=2", INVARIANTS, lambda folder: limited(folder, 10, check_val_every_n_epoch=2)),
    Setting("val_check_interval=0.5", INVARIANTS, lambda folder: limited(folder, 10, val_check_interval=0.5)),
    Setting(
        "EarlyStopping fires in the sparsify phase",
        f"{INVARIANTS}; the cut follows at once",
        lambda folder: stopped(folder, 0, (2, 2)),
    ),
    Setting(
        "EarlyStopping fires in fine-tuning",
        f"{INVARIANTS}; no score of the dense network counts",
        lambda folder: stopped(folder, 4, (4, 2)),
    ),
    Setting("test and predict with ckpt_path='best' after the cut", f"{INVARIANTS}; scores", after_the_fit),
    Setting("fit called twice, one trainer", f"{INVARIANTS}, in both; progress from 0 to 1 in both", twice),
    Setting("fit called twice, two trainers", f"{INVARIANTS}, in both", again_with_another_trainer),
    Setting("lr_find before fit", f"{INVARIANTS}; lr_find leaves the weights alone", rate_found_before),
    Setting("LearningRateFinder", INVARIANTS, rate_found_inside),
]
