"""Callbacks that monitor a metric: what they watch, how they forget, and what they have not saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from physprune_pl.callbacks.trainer.lightning_classes import is_a

Mode = Literal["min", "max"]
Metrics = dict[str, float]
Watched = tuple[str, Mode] | tuple[None, None]

MONITORING = ("EarlyStopping", "Checkpoint")


def find_monitor(trainer: Trainer) -> Watched:
    """What the first ModelCheckpoint with a monitor watches, else the first EarlyStopping, else nothing."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    for kind in ("ModelCheckpoint", "EarlyStopping"):
        for callback in callbacks:
            if is_a(callback, kind) and callback.monitor is not None:
                return callback.monitor, callback.mode
    return None, None


def forget_scores(trainer: Trainer) -> None:
    """Let ModelCheckpoint and EarlyStopping start anew: no score of the dense network judges the cut one."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if is_a(callback, "ModelCheckpoint"):
            callback.best_k_models = {}
            callback.best_model_path = callback.kth_best_model_path = ""
            callback.best_model_score = callback.current_score = None
            callback.kth_value = _worst(callback.mode)
        elif is_a(callback, "EarlyStopping"):
            callback.wait_count = callback.stopped_epoch = 0
            callback.best_score = _worst(callback.mode)
            if hasattr(callback, "stopping_reason"):  # newer versions of Lightning only
                callback.stopping_reason = type(callback.stopping_reason)(0)
                callback.stopping_reason_message = None


def save_unsaved(trainer: Any, metrics: Metrics) -> None:
    """Let every ModelCheckpoint that has no file of the cut network save one; it names none of another shape then.

    To be called at the end of a fit, with what validation found of the network as it is now.
    """
    for one in trainer.callbacks if not trainer.fast_dev_run else ():
        if not is_a(one, "ModelCheckpoint") or one.best_model_path:
            continue
        found = one._monitor_candidates(trainer) | {name: torch.tensor(value) for name, value in metrics.items()}
        if one.save_top_k != 0 and one.monitor in metrics:
            one._save_topk_checkpoint(trainer, found)
        elif one.save_top_k != 0:
            one._save_none_monitor_checkpoint(trainer, found)
        one._save_last_checkpoint(trainer, found)


def _worst(mode: str) -> Tensor:
    return torch.tensor(math.inf if mode == "min" else -math.inf)


def saved_network(trainer: Any, monitor: str | None) -> str:
    """Return the file in which a finished fit left its network: of the ModelCheckpoint that chose it, else of another.

    Args:
        trainer: of the fit.
        monitor: metric that chose the weights; None: the last weights are the network.

    Returns:
        The path; empty where no file is left.
    """
    savers = [one for one in trainer.callbacks if is_a(one, "ModelCheckpoint")]
    savers.sort(key=lambda one: one.monitor != monitor)
    files = (path for one in savers for path in (one.best_model_path, one.last_model_path) if path)
    return next((str(Path(path)) for path in files if Path(path).exists()), "")
