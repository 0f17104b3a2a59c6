"""ModelOpt's FastNAS: a search for widths by validation accuracy, without sparse training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import lightning as L
from torch import nn

from experiments.training.data import LabelledData
from experiments.training.evaluation import evaluate
from experiments.training.outcome import CPU
from experiments.training.supervised import Supervised

# Its widths are multiples of 32 unless told otherwise; this network has 16, 32 and 64 channels.
DIVISOR = 2


class FastNAS:
    """ModelOpt's ``prune(mode="fastnas")``."""

    def presses(self, model: Supervised) -> Sequence[L.Callback]:  # noqa: ARG002
        """Press nothing: it takes a trained network."""
        return ()

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:
        """Search for the widths that have the best validation accuracy and keep this share of the MACs."""
        prune = import_module("modelopt.torch.prune")
        space = prune.fastnas.FastNASConfig().model_dump()
        space["nn.Conv2d"]["*"]["channel_divisor"] = DIVISOR
        for kind in ("nn.Linear", "nn.BatchNorm2d"):
            space[kind]["*"]["feature_divisor"] = DIVISOR

        def score(network: nn.Module) -> float:
            return evaluate({"candidate": network}, data, CPU, "val")["candidate"]

        batches = [(data.prepare(batch, augment=True)[0],) for batch in data.train_dataloader()]
        config: dict[str, Any] = {"data_loader": batches, "score_func": score, "checkpoint": None, "verbose": False}
        model.network, _ = prune.prune(
            model.network,
            mode=[("fastnas", space)],
            constraints={"flops": f"{macs:.0%}"},
            dummy_input=data.example(1),
            config=config,
        )

    def finish(self, model: Supervised) -> None:
        """Do nothing: the network is small already."""
