"""Networks of the experiments; every factory takes the pictures' shape (colours, height, width) and the classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the picture's size at stride 1, then batch norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


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
    (option B). Depth 56 has 855,770 parameters at 3 colours and 10 classes.
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
    """ResNet-20 for small pictures."""
    return CifarResNet(20, shape[0], classes)


def resnet56(shape: Shape, classes: int) -> CifarResNet:
    """ResNet-56 for small pictures."""
    return CifarResNet(56, shape[0], classes)


def lenet5(shape: Shape, classes: int) -> nn.Sequential:
    """LeNet-5 with rectifiers and max pooling; 61,706 parameters at 1 x 28 x 28 and 10 classes.

    Pictures under 16 pixels keep their size in the second convolution too, which would not fit otherwise.
    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """
    colours, height, width = shape
    padding = 2 if min(height, width) < 16 else 0
    features = nn.Sequential(
        *(nn.Conv2d(colours, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    )
    flat = int(features(torch.zeros(1, *shape)).shape[1])
    head = (nn.Linear(flat, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes))
    return nn.Sequential(*features, *head)


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
