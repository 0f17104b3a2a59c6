"""VGG networks for small pictures."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from experiments.training.models.layers import Shape, colours

# Channels of the five parts between which the picture is halved.
WIDTHS = (64, 128, 256, 512, 512)


class CifarVGG(nn.Sequential):
    """VGG with batch norm and one linear layer, as used on CIFAR.

    Pooling rounds sizes up, so that pictures under 32 pixels pass too; 32 x 32 is not changed by this.
    Source: Simonyan and Zisserman, Very deep convolutional networks, table 1.

    Args:
        repeats: number of convolutions in each of the five parts, such as (1, 1, 2, 2, 2) for VGG-11.
        in_channels: colours of the pictures.
        classes: number of scores.

    Raises:
        ValueError: for other than five parts, or an empty one.
    """

    def __init__(self, repeats: Sequence[int], in_channels: int = 3, classes: int = 10) -> None:
        if len(repeats) != len(WIDTHS) or min(repeats) < 1:
            raise ValueError(f"repeats: expected five numbers of at least 1, got {tuple(repeats)}")
        layers: list[nn.Module] = []
        for inputs, width, repeat in zip((in_channels, *WIDTHS), WIDTHS, repeats, strict=False):
            for channels in (inputs, *[width] * (repeat - 1)):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], classes))


def vgg11_bn(shape: Shape, classes: int) -> CifarVGG:
    """VGG-11 (configuration A); 9,231,114 parameters at 3 colours and 10 classes."""
    return CifarVGG((1, 1, 2, 2, 2), colours(shape, "vgg11_bn"), classes)


def vgg16_bn(shape: Shape, classes: int) -> CifarVGG:
    """VGG-16 (configuration D); 14,728,266 parameters at 3 colours and 10 classes."""
    return CifarVGG((2, 2, 3, 3, 3), colours(shape, "vgg16_bn"), classes)


def vgg19_bn(shape: Shape, classes: int) -> CifarVGG:
    """VGG-19 (configuration E); 20,086,692 parameters at 3 colours and 100 classes."""
    return CifarVGG((2, 2, 4, 4, 4), colours(shape, "vgg19_bn"), classes)
