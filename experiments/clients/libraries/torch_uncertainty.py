"""torch-uncertainty: classification with calibration and out-of-distribution metrics."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import blobs, both


def samples(count: int, seed: int) -> list[tuple[Any, Any]]:
    """Return pictures and their classes."""
    pictures, labels, _ = blobs(count, seed, size=16)
    return list(zip(pictures, labels, strict=True))


def client() -> Client:
    """Return the routine around a small ResNet-18 of the library itself."""
    from torch_uncertainty.models.classification.resnet import resnet
    from torch_uncertainty.routines import ClassificationRoutine

    def module() -> ClassificationRoutine:
        network = resnet(3, 3, arch=18, conv_bias=False, style="cifar", width_multiplier=0.25)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
        return ClassificationRoutine(network, 3, loss=nn.CrossEntropyLoss(), optim_recipe=optimizer)

    return Client(
        module=module,
        data=Loaders(*both(samples)),
        metric="val/cls/Acc",
        mode="max",
        what="ClassificationRoutine, ResNet-18 of 16 planes, squares in noise",
        style="the optimizer is made before the fit and handed in; training_step(self, batch) without an index",
    )
