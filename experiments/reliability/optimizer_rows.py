"""Rows on optimizers whose steps do not fade where a channel is at zero, or whose weights are not those evaluated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.optim import Optimizer

from experiments.reliability.fit_watch import finished, pruning
from experiments.reliability.loops import INVARIANTS
from experiments.reliability.network import Batch, Module, loader, quiet, task_loss
from experiments.reliability.optimizers import Averaging, Masters, Orthogonal, Perturbed, Signs
from experiments.reliability.setting import Setting, differing
from physprune_pl.pressing.arrival import ARRIVED

CHECKED = "every group arrives before the cut, as it is evaluated"


class Modes(Callback):
    """Puts the optimizer into its modes, and notes at the end of the phase what is left of what is to go."""

    left: float

    def __init__(self, force: Any) -> None:
        self.force = force

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Train."""
        _put(trainer, "train")

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Evaluate, which comes at the end of an epoch."""
        _put(trainer, "eval")
        session = self.force.session
        if session.phase == "sparsify" and session.steering is not None:
            arrivals = session.steering.arrivals(session.penalty.strengths())
            self.left = max(one.remaining for one in arrivals)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Train on."""
        _put(trainer, "train")


def _put(trainer: Any, mode: str) -> None:
    for optimizer in trainer.optimizers:
        getattr(optimizer, mode, lambda: None)()


def arrives(folder: Path, module: Callable[[], Module]) -> str:
    """Fit a module whose coefficients are steered; what is evaluated has arrived."""
    callbacks = pruning(coefficient="auto", finetune_epochs=1)
    del callbacks[-2]  # The watch knows fixed coefficients only.
    modes = Modes(callbacks[0])
    trainer = quiet(folder, callbacks=[modes, *callbacks], max_epochs=40)
    trainer.fit(module(), loader(), loader())
    cut: Any = callbacks[-1]
    assert not cut.report.not_arrived, cut.report.not_arrived
    assert modes.left <= ARRIVED, f"{modes.left:.1%} left"
    assert trainer.current_epoch == 41, differing(trainer.current_epoch, 41)
    return f"at most {modes.left:.2%} left, {cut.report.params['pruned']} of {cut.report.params['dense']} parameters"


class InTwoSteps(Module):
    """Takes both steps of SAM itself, past the trainer."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]  # noqa: ARG002
        """Push, and step."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        for step in (optimizer.first_step, optimizer.second_step):
            optimizer.zero_grad()
            self.manual_backward(task_loss(self, batch))
            step()

    def configure_optimizers(self) -> Any:
        """SAM around Adam."""
        return Perturbed(self.parameters(), torch.optim.Adam, lr=0.1 * self.lr)


class TwoOptimizers(Module):
    """Matrices by one optimizer, all else by another, both in every step, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]  # noqa: ARG002
        """One backward pass, and a step of both."""
        optimizers: Any = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = task_loss(self, batch)
        self.manual_backward(loss)
        for optimizer in optimizers:
            optimizer.step()

    def configure_optimizers(self) -> Any:
        """Muon and AdamW."""
        matrices, others = ([one for one in self.parameters() if (one.dim() > 1) == two] for two in (True, False))
        return [Orthogonal(matrices, lr=0.1 * self.lr), torch.optim.AdamW(others, lr=0.1 * self.lr)]


def two_optimizers(folder: Path) -> str:
    """Prune a network that two optimizers share."""
    callbacks, module = pruning(), TwoOptimizers()
    trainer = quiet(folder, callbacks=callbacks)
    trainer.fit(module, loader(), loader())
    return finished(callbacks, trainer, module)


def _by(make: Callable[[Any, float], Optimizer]) -> Callable[[Path], str]:
    return partial(arrives, module=partial(Module, optimizer=make))


OPTIMIZERS = [
    Setting("steered, Lion: steps by signs", CHECKED, _by(lambda parameters, rate: Signs(parameters, 0.1 * rate))),
    Setting("steered, Rprop", CHECKED, _by(lambda parameters, rate: torch.optim.Rprop(parameters, 0.1 * rate))),
    Setting("steered, schedule-free", CHECKED, _by(Averaging)),
    Setting("steered, copies of full precision", CHECKED, _by(Masters)),
    Setting(
        "steered, SAM around SGD, by a closure",
        CHECKED,
        _by(lambda parameters, rate: Perturbed(parameters, torch.optim.SGD, lr=rate, momentum=0.9)),
    ),
    Setting("steered, SAM around Adam, in two steps past the Trainer", CHECKED, partial(arrives, module=InTwoSteps)),
    Setting("steered, Muon and AdamW, manual optimization", CHECKED, partial(arrives, module=TwoOptimizers)),
    Setting("Muon and AdamW, manual optimization", INVARIANTS, two_optimizers),
]
