"""What makes training faster, as callbacks of ``conf/callbacks/channels_last.yaml`` and ``gpu.yaml``."""

from __future__ import annotations

from dataclasses import replace

import lightning as L
import torch

from experiments.training.data.tensors import TensorData
from experiments.training.supervised import Supervised


class ChannelsLast(L.Callback):
    """Lays out weights with the channels innermost; convolutions lay out pictures likewise.

    Tensor cores and the convolutions of CPUs read them so. The cut keeps the layout.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        pl_module.to(memory_format=torch.channels_last)


class Compiled(L.Callback):
    """Compiles the network in place; after the cut it is compiled anew for its new widths.

    Args:
        backend: of ``torch.compile``.

    Raises:
        TypeError: for a module other than that of the experiments.
    """

    def __init__(self, backend: str = "inductor") -> None:
        self.backend = backend

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        if not isinstance(pl_module, Supervised):
            raise TypeError(f"callbacks.compiled: expected a Supervised, got {type(pl_module).__name__}")
        pl_module.network.compile(backend=self.backend)


class ResidentData(L.Callback):
    """Keeps all splits on the device, so that a batch is cut from them there.

    Raises:
        TypeError: for data that are read while training.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, TensorData):
            raise TypeError(f"callbacks.resident: expected data that fit in memory, got {type(data).__name__}")
        for name, split in data.splits.items():
            inputs, labels = (values.to(pl_module.device) for values in (split.inputs, split.labels))
            data.splits[name] = replace(split, inputs=inputs, labels=labels)
