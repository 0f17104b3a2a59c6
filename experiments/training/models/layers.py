"""What the networks for pictures are made of."""

from __future__ import annotations

from torch import nn

Shape = tuple[int, ...]


def colours(shape: Shape, model: str) -> int:
    """Return the number of colours of the pictures that a network is built for.

    Args:
        shape: of one example.
        model: name of the network, for the message.

    Raises:
        ValueError: for data that are no pictures (colours, height, width).
    """
    if len(shape) != 3:
        raise ValueError(
            f"model={model} needs pictures (colours, height, width), the examples of data have {tuple(shape)}"
        )
    return shape[0]


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, split: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the picture's size at stride 1, then batch norm.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: side of the square that one output sees.
        stride: the picture's size is divided by it.
        split: parts of the channels that do not see each other; ``inputs`` of them make a depthwise convolution.
    """
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=split, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
