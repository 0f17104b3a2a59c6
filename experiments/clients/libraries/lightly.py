"""lightly: fine-tuning evaluation of a backbone."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, pictures


def client() -> Client:
    """Return FinetuneClassifier over a small ResNet of lightly itself."""
    from lightly.models import ResNetGenerator
    from lightly.utils.benchmarking.linear_classifier import FinetuneClassifier
    from torch import nn

    def module() -> Any:
        network = ResNetGenerator("resnet-9", width=0.25)
        backbone = nn.Sequential(*list(network.children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return FinetuneClassifier(backbone, 16, feature_dim=network.linear.in_features, num_classes=3, topk=(1,))

    return Client(
        module=module,
        data=Loaders(*both(pictures)),
        metric="val_loss",
        what="FinetuneClassifier, ResNet-9 of a quarter width, squares in noise",
        style="LARS-like schedule by step from trainer.estimated_stepping_batches; parameter groups by name",
    )
