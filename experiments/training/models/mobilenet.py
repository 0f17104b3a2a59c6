"""MobileNetV2 for small pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from experiments.training.models.layers import Shape, colours, conv_norm

STEM = 32
LAST = 1280


class InvertedResidual(nn.Module):
    """Widen (1 x 1), convolve every channel by itself (3 x 3), narrow (1 x 1), and add the input where it fits."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = [conv_norm(inputs, inner, kernel=1), nn.ReLU6()] if expansion > 1 else []
        depthwise = conv_norm(inner, inner, stride=stride, split=inner)
        self.layers = nn.Sequential(*widen, depthwise, nn.ReLU6(), conv_norm(inner, outputs, kernel=1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        narrow: Tensor = self.layers(features)
        return features + narrow if self.adds else narrow


@dataclass(frozen=True)
class BlockRow:
    """Blocks in a row, of one width: the first of them changes the number of channels, and the size by ``stride``."""

    expansion: int
    channels: int
    blocks: int
    stride: int

    def made(self, inputs: int) -> nn.Sequential:
        """Return the blocks, for features [B, inputs, H, W]."""
        first = InvertedResidual(inputs, self.channels, self.expansion, self.stride)
        more = (InvertedResidual(self.channels, self.channels, self.expansion, 1) for _ in range(self.blocks - 1))
        return nn.Sequential(first, *more)


# Table 2 of the paper, but the second run keeps the size: small pictures would shrink to a point.
BLOCK_ROWS = (
    *(BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 1), BlockRow(6, 32, 3, 2), BlockRow(6, 64, 4, 2)),
    *(BlockRow(6, 96, 3, 1), BlockRow(6, 160, 3, 2), BlockRow(6, 320, 1, 1)),
)


class CifarMobileNetV2(nn.Module):
    """MobileNetV2 in its usual form for 32 x 32 pictures: the first two of its five halvings are left out.

    A picture shrinks 8 times in all, to 4 x 4. There is no dropout in front of the head. Parameters are those of
    the network for large pictures, 2,236,682 at 3 colours and 10 classes.
    Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, table 2.

    Args:
        in_channels: colours of the pictures.
        classes: number of scores.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stem = conv_norm(in_channels, STEM)
        widths = (STEM, *(run.channels for run in BLOCK_ROWS))
        self.runs = nn.Sequential(*(run.made(inputs) for run, inputs in zip(BLOCK_ROWS, widths, strict=False)))
        self.last = conv_norm(widths[-1], LAST, kernel=1)
        self.head = nn.Linear(LAST, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures [B, colours, H, W] to class scores [B, classes]."""
        features = self.runs(nn.functional.relu6(self.stem(images)))
        scores: Tensor = self.head(nn.functional.relu6(self.last(features)).mean(dim=(2, 3)))
        return scores


def mobilenet_v2(shape: Shape, classes: int) -> CifarMobileNetV2:
    """MobileNetV2 for small pictures."""
    return CifarMobileNetV2(colours(shape, "mobilenet_v2"), classes)
