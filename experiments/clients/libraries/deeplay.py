"""deeplay: classification by a network that deeplay builds from a configurable description."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, pictures


def client() -> Client:
    """Return deeplay's Classifier around its convolutional network."""
    import deeplay

    def module() -> Any:
        body = deeplay.ConvolutionalNeuralNetwork(3, [16, 32], 32, pool=None)
        network = deeplay.Sequential(body, deeplay.Layer(deeplay_pool()), deeplay.MultiLayerPerceptron(32, [32], 3))
        return deeplay.Classifier(network, optimizer=deeplay.Adam(lr=3e-3), num_classes=3).build()

    return Client(
        module=module,
        data=Loaders(*both(pictures)),
        metric="val_loss_epoch",
        what="Classifier, a small convolutional network, squares in noise",
        style="modules are built by descriptions that remember their arguments; losses come as a dict and are summed",
    )


def deeplay_pool() -> Any:
    """Return the class of a global average over a picture."""
    from torch import nn

    class Average(nn.Module):
        """Mean over height and width."""

        def forward(self, x: Any) -> Any:
            """Return [N, C] of [N, C, H, W]."""
            return x.mean((2, 3))

    return Average
