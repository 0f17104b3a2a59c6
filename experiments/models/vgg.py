"""VGG networks for small pictures."""

from __future__ import annotations

from torch import nn

from experiments.models.shapes import Shape


def vgg11_bn(shape: Shape, classes: int) -> nn.Sequential:
    """VGG-11 with batch norm and one linear layer, as used on CIFAR; 9,231,114 parameters at 3 colours, 10 classes.

    Pooling rounds sizes up, so that pictures under 32 pixels pass too; 32 x 32 is not changed by this.
    Source: Simonyan and Zisserman, Very deep convolutional networks, configuration A.
    """
    layers: list[nn.Module] = []
    inputs = shape[0]
    for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"):
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            continue
        convolution = nn.Conv2d(inputs, width, 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
