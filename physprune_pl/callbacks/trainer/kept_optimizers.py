"""Fine-tuning with the optimizers of before the cut, for modules that configure theirs only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from physprune_pl.callbacks.trainer.module_copy import ModuleCopy
from physprune_pl.networks.isolation import copied, saved_random_state

_KEPT = "fine-tuning goes on with the optimizers of before the cut, at constant rates and without schedules"


@contextmanager
def lasting(trainer: Trainer, epochs: int) -> Iterator[None]:
    """Let a trainer say that it trains so many epochs: ``estimated_stepping_batches`` counts them."""
    loop = trainer.fit_loop
    total, loop.max_epochs = loop.max_epochs, epochs
    try:
        yield
    finally:
        loop.max_epochs = total


def try_again(trainer: Trainer, pl_module: LightningModule, epochs: int) -> None:
    """Warn, before anything expensive, if ``configure_optimizers`` does not run again for so many epochs.

    A copy of the module tries; nothing is known beforehand of a module that refuses to be copied.
    """
    try:
        module: Any = copied(pl_module)
    except Exception:  # whatever its own code raises when it is copied
        return
    try:
        with saved_random_state(), lasting(trainer, epochs), ModuleCopy(trainer, module, module).holding(module):
            module.configure_optimizers()
    except Exception as error:  # whatever it raises
        rank_zero_warn(
            f"configure_optimizers of {type(pl_module).__name__} does not run again after the cut "
            f"({type(error).__name__}: {error}): {_KEPT}. Let it run twice to have new ones"
        )


def go_on_with(trainer: Trainer, optimizers: Sequence[Optimizer], configs: Sequence[Any], error: Exception) -> None:
    """Give a trainer its old optimizers at their first or largest rates and, in place of schedules, constant rates.

    Schedules that wait for a metric to stop improving have no end, and go on.
    """
    rank_zero_warn(f"configure_optimizers does not do again what it did ({type(error).__name__}: {error}): {_KEPT}")
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        rate = group.get("max_lr", group.get("initial_lr", group["lr"]))
        group.update({name: rate for name in ("lr", "initial_lr") if name in group})
    trainer.strategy.optimizers = list(optimizers)
    trainer.strategy.lr_scheduler_configs = [_constant(config) for config in configs]


def _constant(config: Any) -> Any:
    if isinstance(config.scheduler, ReduceLROnPlateau):
        config.scheduler._reset()
    # Others than torch's may have methods of their own that a step calls.
    elif isinstance(config.scheduler, LRScheduler):
        return replace(config, scheduler=LambdaLR(config.scheduler.optimizer, _one))
    return config


def _one(_: int) -> float:
    return 1.0
