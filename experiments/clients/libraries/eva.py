"""kaiko-eva: a head on features of a frozen backbone."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, pictures


def collated(parts: list[tuple[Any, Any]]) -> tuple[Any, Any, dict[str, Any]]:
    """Return pictures, classes and metadata as eva's batches have them."""
    pictures, labels = zip(*parts, strict=True)
    return torch.stack(pictures), torch.stack(labels), {"wsi_id": [str(index) for index in range(len(parts))]}


def client() -> Client:
    """Return HeadModule with a small convolutional backbone, which it freezes itself."""
    from eva.core.metrics import MulticlassClassificationMetrics
    from eva.core.metrics.structs import MetricsSchema
    from eva.core.models.modules import HeadModule

    def module() -> Any:
        layers = [nn.Conv2d(3, 32, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        head = nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))
        metrics = MetricsSchema(common=MulticlassClassificationMetrics(num_classes=3))
        optimizer = partial(torch.optim.Adam, lr=1e-3)
        return HeadModule(head, nn.CrossEntropyLoss(), nn.Sequential(*layers), optimizer=optimizer, metrics=metrics)

    return Client(
        module=module,
        data=Loaders(*both(pictures, collate_fn=collated)),
        metric="val/MulticlassAccuracy",
        mode="max",
        target=("params", 0.5),
        what="HeadModule, a head of three layers on a frozen backbone, squares in noise",
        style="batch is a named tuple with metadata; the backbone is frozen in configure_model and left out of the "
        "checkpoint; the loss is in a dict beside predictions",
    )
