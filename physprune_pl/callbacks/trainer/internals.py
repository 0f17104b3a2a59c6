"""What Lightning keeps to itself and other callbacks of a fit must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.optim.swa_utils import AveragedModel

from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.networks.isolation import saved_random_state


def averaged_copies(trainer: Trainer) -> list[LightningModule]:
    """Return the copies that WeightAveraging and its kin average into; none outside a fit."""
    callbacks: list[object] = trainer.callbacks  # type: ignore[attr-defined]
    found = [getattr(one, "_average_model", None) for one in callbacks if is_a(one, "WeightAveraging")]
    return [one.module for one in found if one is not None]


def held_averages(trainer: Trainer) -> list[nn.Module]:
    """Return what torch's AveragedModel averages into, where callbacks of a user's own keep one in an attribute."""
    callbacks: list[object] = trainer.callbacks  # type: ignore[attr-defined]
    found = (one for callback in callbacks if not is_a(callback, "WeightAveraging") for one in vars(callback).values())
    return [one.module for one in found if isinstance(one, AveragedModel)]


def has_trainer(module: LightningModule) -> bool:
    """Whether a module is in a trainer's hands, which a copy of it is not."""
    return module._trainer is not None


def batches_of(trainer: Trainer) -> Any:
    """Return what the training loop takes its batches from."""
    return trainer.fit_loop._data_fetcher


def first_batch(trainer: Any) -> Any:
    """A training batch on the device, drawn without moving any random generator of the fit."""
    with saved_random_state():
        batch, *_ = next(iter(trainer.fit_loop._combined_loader))
        batch = trainer.precision_plugin.convert_input(batch)
        batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=0)
        return trainer.strategy.batch_to_device(batch)


def show_in_progress_bar(trainer: Trainer, values: Mapping[str, float]) -> None:
    """Show values in the progress bar that nobody logs: neither loggers nor ``callback_metrics`` have them."""
    trainer._logger_connector._progress_bar_metrics.update(values)


def forget_in_progress_bar(trainer: Trainer, names: Iterable[str]) -> None:
    """Take metrics off the progress bar, which keeps what it was told until told otherwise."""
    for name in names:
        trainer._logger_connector._progress_bar_metrics.pop(name, None)
