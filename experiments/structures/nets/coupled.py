"""Structures that couple channels: adds, concats, splits, groups, and modules with several callers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, unit


@case(cut=("conv1", "conv2"))
class Chain(Headed):
    """plain chain with batch norms"""

    def __init__(self) -> None:
        super().__init__(12)
        self.conv1, self.norm1 = conv(3, 8), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = conv(8, 12), nn.BatchNorm2d(12)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(x)))


@case(cut=("stem.0", "inner.0", "outer"))
class Residual(Headed):
    """residual add: the stream has two producers"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.inner, self.outer = unit(3, 8), unit(8, 12), conv(12, 8)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(x + self.outer(self.inner(x)))


@case(cut=("stem.0", "inner.0", "outer", "shortcut.0"))
class ProjectionResidual(Headed):
    """residual add with a strided 1 x 1 projection"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.inner = unit(3, 8), unit(8, 10)
        self.outer = nn.Conv2d(10, 12, 3, stride=2, padding=1, bias=False)
        self.shortcut = nn.Sequential(nn.Conv2d(8, 12, 1, stride=2, bias=False), nn.BatchNorm2d(12))

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(self.shortcut(x) + self.outer(self.inner(x)))


@case()
class PaddedShortcut(Headed):
    """CIFAR ResNet option A: the shortcut is padded with zero channels, their number is a constant"""

    def __init__(self) -> None:
        super().__init__(16)
        self.stem, self.outer = unit(3, 8), nn.Conv2d(8, 16, 3, stride=2, padding=1)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(self.outer(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)))


@case(cut=("left.0", "right.0", "fuse"), whole=("head", "beside"))
class MeanOfBranches(Headed):
    """two branches are stacked and averaged, so are the two heads: a mean over no channels (CrossViT)"""

    def __init__(self) -> None:
        super().__init__(9)
        self.left, self.right, self.fuse = unit(3, 8), unit(3, 8), conv(8, 9)
        self.beside = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.fuse(torch.stack([self.left(x), self.right(x)]).mean(0)).mean((2, 3))
        return torch.stack([self.head(x), self.beside(torch.relu(x))]).mean(0)


@case(cut=("left.0", "right.0", "fuse"))
class Concat(Headed):
    """concat of two branches"""

    def __init__(self) -> None:
        super().__init__(9)
        self.left, self.right, self.fuse = unit(3, 6), unit(3, 10), conv(16, 9)

    def features(self, x: Tensor) -> Any:
        return self.fuse(torch.cat([self.left(x), self.right(x)], 1))


@case(cut=("left", "right", "full"))
class ConcatThenAdd(Headed):
    """concat of two branches, added to a convolution of the full width"""

    def __init__(self) -> None:
        super().__init__(16)
        self.left, self.right, self.full = conv(3, 6), conv(3, 10), conv(3, 16)

    def features(self, x: Tensor) -> Any:
        return torch.relu(torch.cat([self.left(x), self.right(x)], 1) + self.full(x))


@case(cut=("grow1.0", "grow2.0"))
class Dense(Headed):
    """dense block: every convolution reads all that came before, behind a batch norm of its own"""

    def __init__(self) -> None:
        super().__init__(19)
        self.grow1, self.grow2 = unit(3, 8), unit(11, 8)
        self.norm = nn.BatchNorm2d(19)

    def features(self, x: Tensor) -> Any:
        x = torch.cat([x, self.grow1(x)], 1)
        x = torch.cat([x, self.grow2(x)], 1)
        return torch.relu(self.norm(x))


@case(cut=("stem.0", "left", "right"))
class ChunkHalves(Headed):
    """channels split in two halves, used differently"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.left, self.right = unit(3, 16), conv(8, 12), conv(8, 12)

    def features(self, x: Tensor) -> Any:
        first, second = self.stem(x).chunk(2, 1)
        return torch.relu(self.left(first) + torch.tanh(self.right(second)))


@case(cut=("stem.0", "last"))
class UnevenChunks(Headed):
    """three parts of 6, 6 and 4 channels, two of them through depthwise convolutions, then joined (EdgeNeXt)"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last = unit(3, 16), conv(16, 12)
        self.convs = nn.ModuleList(conv(6, 6, groups=6) for _ in range(2))

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        first, second, rest = x.chunk(len(self.convs) + 1, 1)
        first = self.convs[0](first)
        return self.last(x + torch.cat([first, self.convs[1](first + second), rest], 1))


@case(cut=("scale_shift", "conv1", "conv2"))
class FiLM(Headed):
    """a linear layer whose two halves scale and shift the channels of a convolution"""

    def __init__(self) -> None:
        super().__init__(12)
        self.conv1, self.scale_shift, self.conv2 = conv(3, 8), nn.Linear(3, 16), conv(8, 12)

    def features(self, x: Tensor) -> Any:
        scale, shift = self.scale_shift(x.mean((2, 3))).chunk(2, 1)
        return self.conv2(torch.relu(self.conv1(x) * scale[..., None, None] + shift[..., None, None]))


@case(cut=("conv2",))
class Gated(Headed):
    """gated linear unit over channels: the second half of the channels is the gate of the first"""

    def __init__(self) -> None:
        super().__init__(12)
        self.conv1, self.conv2 = conv(3, 16), conv(8, 12)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(F.glu(self.conv1(x), dim=1)))


@case()
class UnevenSplit(Headed):
    """channels split at a constant place: the sizes of the parts are numbers in the code"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.left, self.right = unit(3, 16), conv(6, 12), conv(10, 12)

    def features(self, x: Tensor) -> Any:
        first, second = self.stem(x).split([6, 10], 1)
        return torch.relu(self.left(first) + self.right(second))


@case()
class OverlappingSlices(Headed):
    """two consumers read overlapping ranges of the channels, bounds are constants"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.left, self.right = unit(3, 16), conv(10, 12), conv(12, 12)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(self.left(x[:, :10]) + self.right(x[:, 4:]))


@case(cut=("branch.0",))
class ShuffleUnit(Headed):
    """ShuffleNet unit: split, branch, concat, shuffle by a view that factors the channels; twice"""

    def __init__(self) -> None:
        super().__init__(16)
        self.stem, self.branch = unit(3, 16), unit(8, 12)
        self.depth, self.point = conv(12, 12, groups=12), unit(12, 8, size=1)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        for _ in range(2):
            keep, change = x.chunk(2, 1)
            x = torch.cat([keep, self.point(self.depth(self.branch(change)))], 1)
            batch, width, height, breadth = x.shape
            x = x.view(batch, 2, width // 2, height, breadth).transpose(1, 2).reshape(batch, width, height, breadth)
        return x


@case(cut=("stem.0", "grouped", "last"))
class GroupedConv(Headed):
    """grouped convolution: inputs and outputs of a conv group go together"""

    def __init__(self) -> None:
        super().__init__(9)
        self.stem, self.grouped, self.last = unit(3, 12), conv(12, 16, groups=4), conv(16, 9)

    def features(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.grouped(self.stem(x))))


@case(cut=("stem.0", "last"))
class Depthwise(Headed):
    """depthwise separable convolution with ReLU6"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.depth, self.norm = unit(3, 10), conv(10, 10, groups=10), nn.BatchNorm2d(10)
        self.last = conv(10, 12, size=1)

    def features(self, x: Tensor) -> Any:
        return self.last(F.relu6(self.norm(self.depth(self.stem(x)))))


@case(cut=("stem.0", "last"))
class DepthwiseMultiplier(Headed):
    """depthwise convolution with two outputs a channel"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.depth = unit(3, 6), nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.last = conv(12, 12, size=1)

    def features(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.depth(self.stem(x))))


@case(cut=("down.0", "deep.0", "up", "fuse.0"))
class UNet(nn.Module):
    """transposed convolution and a skip concat; the mask is the output"""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.fuse = unit(3, 8), unit(8, 12), unit(18, 6)
        self.up, self.mask = nn.ConvTranspose2d(12, 10, 2, stride=2), conv(6, 2, size=1)

    def forward(self, x: Tensor) -> Any:
        fine = self.down(x)
        coarse = self.up(self.deep(F.max_pool2d(fine, 2)))
        return self.mask(self.fuse(torch.cat([fine, coarse], 1)))


@case(cut=("stem.0",))
class GroupedTransposed(Headed):
    """grouped transposed convolution: its weight counts outputs within a conv group"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.up = unit(3, 8), nn.ConvTranspose2d(8, 12, 2, stride=2, groups=4)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.up(self.stem(x)))


@case(cut=("conv1", "hidden"))
class Flatten(nn.Module):
    """flatten before a linear layer: a channel owns several columns"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.hidden, self.head = conv(3, 6), nn.Linear(6 * 16, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2).flatten(1)
        return self.head(torch.relu(self.hidden(x)))
