"""torch-uncertainty: classification with calibration and out-of-distribution metrics."""

from __future__ import annotations

import torch
from torch import nn

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, pictures


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
        data=Loaders(*both(lambda count, seed: pictures(count, seed, 8, 0.8), 64)),
        metric="val/cls/Acc",
        mode="max",
        epochs=20,
        what="ClassificationRoutine, ResNet-18 of 16 planes, squares in noise",
        style="the optimizer is made before the fit and handed in; training_step(self, batch) without an index",
    )
