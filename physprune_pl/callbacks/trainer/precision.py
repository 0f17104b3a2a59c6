"""Runs a network without what the trainer's precision adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Trainer


@contextmanager
def plain_forward(trainer: Trainer) -> Iterator[None]:
    """Run the network in its own type and without autocast: probes and checks need exact arithmetic."""
    device = trainer.strategy.root_device.type
    with trainer.precision_plugin.forward_context(), torch.autocast(device, enabled=False):
        yield
