"""Validation inside a fit that leaves no trace, and what the loop that runs now has logged."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor

from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.callbacks.trainer.monitors import MONITORING, Metrics
from physprune_pl.networks.isolation import saved_random_state

_CONNECTOR = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics", "_first_loop_iter", "_current_fx")
_LOOP = ("batch_progress", "_seen_batches_per_dataloader", "_has_run", "_restarting", "_restart_stage")


def fresh_metrics(trainer: Trainer) -> Metrics:
    """What the loop that runs now has logged as a number, without leftovers of other loops; that of the first rank."""
    return _numbers(trainer, trainer._logger_connector.metrics["callback"])


def _numbers(trainer: Trainer, metrics: Mapping[str, Any]) -> Metrics:
    single = {name: value for name, value in metrics.items() if not isinstance(value, Tensor) or value.numel() == 1}
    return trainer.strategy.broadcast({name: float(value) for name, value in single.items()})


def validate_quietly(trainer: Any, but: Callback) -> Metrics:
    """Run one whole validation inside a fit that leaves no trace: no monitoring callback, logger or bar sees it.

    Args:
        trainer: a trainer between two training epochs, or after the last.
        but: a callback that is not to be called either.

    Returns:
        The metrics that were logged; empty without validation.
    """
    if not trainer.enable_validation:
        return {}
    connector, loop = trainer._logger_connector, trainer.fit_loop.epoch_loop.val_loop
    stage, seen = trainer.state.stage, getattr(trainer, "_last_val_time", None)
    with _quiet(trainer, but), _restored(connector, _CONNECTOR), _restored(loop, _LOOP), saved_random_state():
        connector.reset_metrics()
        loop._restarting = False
        trainer.validating = True
        try:
            loop.run()
        finally:
            trainer.state.stage = stage
        found = _numbers(trainer, connector._callback_metrics)
    if seen is not None:
        trainer._last_val_time = seen
    return found


@contextmanager
def _quiet(trainer: Any, but: Callback) -> Iterator[None]:
    callbacks, loggers = trainer.callbacks, trainer.loggers
    quiet = [callback for callback in callbacks if callback is not but and not is_a(callback, *MONITORING)]
    trainer.callbacks = [_silent(callback) if is_a(callback, "ProgressBar") else callback for callback in quiet]
    trainer.loggers = [DummyLogger() for _ in loggers]
    try:
        yield
    finally:
        trainer.callbacks, trainer.loggers = callbacks, loggers


def _silent(bar: Any) -> Any:
    """Return a progress bar that draws nothing; a thread that goes on drawing looks for one of its own class."""
    hooks: dict[str, Any] = {name: _nothing for name in dir(bar) if name.startswith("on_")}
    kind = type(type(bar).__name__, (type(bar),), hooks)
    silent: Any = object.__new__(kind)
    vars(silent).update(vars(bar))
    return silent


def _nothing(*_: Any, **__: Any) -> None:
    """Stand in for a hook."""


@contextmanager
def _restored(owner: Any, names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: copy.copy(getattr(owner, name)) for name in names if hasattr(owner, name)}
    kept |= {name: copy.deepcopy(value) for name, value in kept.items() if name == "batch_progress"}
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(owner, name, value)
