"""Residual networks for small pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.training.models.layers import Shape, colours, conv_norm


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut, which projects (1 x 1) where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, kernel=1, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        inner = self.second(torch.relu(self.first(features)))
        return torch.relu(inner + self.shortcut(features))


class CifarResNet(nn.Module):
    """Residual network for small pictures: three stages of 16, 32 and 64 channels, depth = 6 n + 2.

    Source: He et al., Deep Residual Learning for Image Recognition, section 4.2, with projection shortcuts
    (option B).
    """

    def __init__(self, depth: int, in_channels: int = 3, classes: int = 10) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth must be 6 n + 2 with n of at least 1, such as 20 or 56, got {depth}")
        super().__init__()
        self.stem = conv_norm(in_channels, 16)
        widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        self.stages = nn.Sequential(*(self._stage(*width, blocks=(depth - 2) // 6) for width in widths))
        self.head = nn.Linear(64, classes)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
        first = BasicBlock(inputs, outputs, stride)
        return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures [B, colours, H, W] to class scores [B, classes]."""
        features: Tensor = self.stages(torch.relu(self.stem(images)))
        scores: Tensor = self.head(features.mean(dim=(2, 3)))
        return scores


def resnet20(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-20 for small pictures; 272,474 parameters at 3 colours and 10 classes."""
    return CifarResNet(20, colours(shape, "resnet20"), classes)


def resnet32(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-32 for small pictures; 466,906 parameters at 3 colours and 10 classes."""
    return CifarResNet(32, colours(shape, "resnet32"), classes)


def resnet44(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-44 for small pictures; 661,338 parameters at 3 colours and 10 classes."""
    return CifarResNet(44, colours(shape, "resnet44"), classes)


def resnet56(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-56 for small pictures; 855,770 parameters at 3 colours and 10 classes."""
    return CifarResNet(56, colours(shape, "resnet56"), classes)


def resnet110(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-110 for small pictures; 1,730,714 parameters at 3 colours and 10 classes."""
    return CifarResNet(110, colours(shape, "resnet110"), classes)
