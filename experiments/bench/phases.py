"""A fit without checkpoints and logs, and the validation accuracy of its phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
from omegaconf import DictConfig

from experiments.training.assembly import build_pruning
from experiments.training.data import LabelledData
from experiments.training.hydra_versions import instantiate
from experiments.training.supervised import Supervised

METRIC = "val/acc"


def accuracy_of_phases(
    config: DictConfig, model: Supervised, data: LabelledData, folder: str | Path, more: Sequence[L.Callback] = ()
) -> dict[str, float]:
    """Fit, and return the validation accuracy before the cut, right after it and at the end.

    Args:
        config: of ``train.py``; its callbacks and loggers are left out, and with them checkpoints.
        model: is trained, and cut in place where there is a target.
        data: to train and validate with.
        folder: the trainer's, where the history of the channels goes.
        more: callbacks besides those that prune.

    Returns:
        ``after_sparsify``, ``after_cut`` and ``final``; without a target all three are that of the last epoch.
    """
    callbacks, cutter = build_pruning(config)
    trainer: L.Trainer = instantiate(
        config.trainer,
        callbacks=[*callbacks, *more],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        default_root_dir=str(folder),
    )
    trainer.fit(model, datamodule=data)
    last = float(trainer.callback_metrics[METRIC])
    if cutter is None or cutter.report is None:
        return {"after_sparsify": last, "after_cut": last, "final": last}
    found = cutter.report.metric
    assert found["name"] == METRIC
    final = found["after_finetune"] if config.finetune.epochs else found["after_cut"]
    return {"after_sparsify": found["after_sparsify"], "after_cut": found["after_cut"], "final": final}
