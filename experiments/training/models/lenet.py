"""LeNet-5."""

from __future__ import annotations

import torch
from torch import nn

from experiments.training.models.layers import Shape, colours


def lenet5(shape: Shape, classes: int) -> nn.Sequential:
    """LeNet-5 with rectifiers and max pooling; 61,706 parameters at 1 x 28 x 28 and 10 classes.

    Pictures under 16 pixels keep their size in the second convolution too, which would not fit otherwise.
    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """
    inputs = colours(shape, "lenet5")
    padding = 2 if min(shape[1:]) < 16 else 0
    features = nn.Sequential(
        *(nn.Conv2d(inputs, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    )
    flat = int(features(torch.zeros(1, *shape)).shape[1])
    head = (nn.Linear(flat, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes))
    return nn.Sequential(*features, *head)
