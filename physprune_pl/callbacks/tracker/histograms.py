"""Histograms of the strengths, for the loggers that can show one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from physprune_pl.callbacks.tracker.logger_writers import writers_of


def log_histograms(trainer: Trainer, strengths: Mapping[str, Tensor]) -> None:
    """Give the strengths to every logger of the trainer that can show them, on the first process.

    The histograms are ``physprune/strengths`` (all channels) and ``physprune/strengths/<group>``, at the trainer's
    global step. Values that are not finite, as after a divergence, have no place in a histogram and are left out.

    Args:
        trainer: of the fit; loggers that it replaced, as in a ``fast_dev_run``, get nothing.
        strengths: group -> strengths of its channels, [K].
    """
    writers = writers_of(trainer)
    if not writers:
        return
    named = {f"physprune/strengths/{name}": values for name, values in strengths.items()}
    named["physprune/strengths"] = torch.cat(list(strengths.values()))
    finite = {tag: values[values.isfinite()] for tag, values in named.items()}
    drawable = {tag: values for tag, values in finite.items() if len(values) > 0}
    for logger, writer in writers:
        writer.histograms(logger, drawable, trainer.global_step)
