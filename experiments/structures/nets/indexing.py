"""Channels that are repeated, picked, sorted, paired or unfolded before somebody reads them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d, roi_align

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images, unit, vectors
from experiments.structures.nets.parameters import Between


class Widened(Headed):
    """Base: convolution to twelve channels, what the heir makes of them, convolution from a given width."""

    def __init__(self, width: int) -> None:
        super().__init__(9)
        self.conv1, self.conv2 = conv(3, 12), conv(width, 9)

    def widen(self, x: Tensor) -> Any:
        return x

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(self.widen(self.conv1(x))))


@case(cut=("conv1", "conv2"))
class BothSigns(Widened):
    """channels and their negatives side by side (CReLU)"""

    def __init__(self) -> None:
        super().__init__(24)

    def widen(self, x: Tensor) -> Any:
        return torch.relu(torch.cat([x, -x], 1))


@case(cut=("conv1", "conv2"))
class Repeated(Widened):
    """every channel repeated, neighbours first"""

    def __init__(self) -> None:
        super().__init__(24)

    def widen(self, x: Tensor) -> Any:
        return torch.relu(x).repeat_interleave(2, 1)


@case(cut=("conv1",))
class Unfolded(nn.Module):
    """convolution written as unfold and a linear layer: a channel owns nine neighbouring columns"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.hidden, self.head = conv(3, 6), nn.Linear(54, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        columns = F.unfold(torch.relu(self.conv1(x)), 3).transpose(1, 2)
        return self.head(torch.relu(self.hidden(columns)).mean(1))


@case(cut=("conv1", "hidden"))
class FlattenChannelsLast(nn.Module):
    """flatten with the channels as the fastest dimension"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.hidden, self.head = conv(3, 6), nn.Linear(6 * 16, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2).permute(0, 2, 3, 1).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


@case(whole=("inward",), cut=("hidden",), example=vectors)
class OuterProduct(nn.Module):
    """all pairs of channels: a column belongs to two channels"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.hidden, self.head = nn.Linear(6, 5), nn.Linear(25, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        return self.head(torch.relu(self.hidden((x[:, :, None] * x[:, None, :]).flatten(1))))


@case(whole=("conv1",), cut=("conv2",))
class SortedChannels(Between):
    """channels sorted by value"""

    def between(self, x: Tensor) -> Any:
        return x.sort(1).values


@case(whole=("conv1",), cut=("conv2",))
class FixedPermutation(Between):
    """channels in an order that a buffer of numbers gives"""

    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(12))

    def between(self, x: Tensor) -> Any:
        return x[:, self.order]


@case()
class SelectedByMask(Widened):
    """channels picked by a buffer of booleans"""

    chosen: Tensor

    def __init__(self) -> None:
        super().__init__(6)
        self.register_buffer("chosen", torch.arange(12) % 2 == 0)

    def widen(self, x: Tensor) -> Any:
        return x[:, self.chosen]


@case()
class Maxout(Widened):
    """largest of each pair of neighbours, their number read from the shape"""

    def __init__(self) -> None:
        super().__init__(6)

    def widen(self, x: Tensor) -> Any:
        return x.view(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:]).amax(2)


@case()
class NormPerHead(Between):
    """three heads of channels, each divided by its own length"""

    def between(self, x: Tensor) -> Any:
        return F.normalize(x.view(x.shape[0], 3, -1, *x.shape[2:]), dim=2).flatten(1, 2)


@case(whole=("conv1",), cut=("conv2",))
class ModulePerChannel(Between):
    """a small module for every channel, found by its number"""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.ModuleList(conv(1, 1) for _ in range(12))

    def between(self, x: Tensor) -> Any:
        return torch.cat([self.own[k](x[:, k : k + 1]) for k in range(x.shape[1])], 1)


@case(whole=("conv1",), cut=("conv2",))
class RandomPermutation(Between):
    """channels in another order at every training step"""

    def between(self, x: Tensor) -> Any:
        return x[:, torch.randperm(x.shape[1])] if self.training else x


@case()
class BlurPool(Between):
    """depthwise blur with a fixed kernel, as many conv groups as there are channels"""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.full((1, 1, 3, 3), 1.0 / 9))

    def between(self, x: Tensor) -> Any:
        width = x.shape[1]
        return F.conv2d(x, self.kernel.to(x.dtype).expand(width, 1, 3, 3), stride=2, padding=1, groups=width)


@case()
class TableLookup(Between):
    """a feature's value is the row of a table: NaN is no valid row"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.pick = nn.Parameter(torch.randn(12, 9)), nn.Linear(12, 1)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x))
        row = self.pick(x.mean((2, 3)))[:, 0].sigmoid() * 11
        return torch.relu(self.conv2(x)) * self.table[row.long()][:, :, None, None]


@case()
class Deformable(Between):
    """deformable convolution: native code that reads out of bounds where an offset is NaN"""

    def __init__(self) -> None:
        super().__init__()
        self.offset = conv(12, 18)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x))
        return torch.relu(deform_conv2d(x, self.offset(x), self.conv2.weight, self.conv2.bias, padding=1))


@case(whole=("conv1", "side.0"))
class WidthRatio(Between):
    """multiplies by the ratio of two widths, which stays what it is as long as both are cut alike"""

    def __init__(self) -> None:
        super().__init__()
        self.side, self.conv3 = unit(3, 12), conv(12, 9)

    def features(self, x: Tensor) -> Any:
        first, second = torch.relu(self.conv1(x)), self.side(x)
        return torch.relu(self.conv2(first * (second.shape[1] / first.shape[1]))) + torch.tanh(self.conv3(second))


@case()
class FourierFilter(Between):
    """a complex filter for every channel and frequency"""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(12, 8, 5, 2))

    def between(self, x: Tensor) -> Any:
        return torch.fft.irfft2(torch.fft.rfft2(x) * torch.view_as_complex(self.filter), s=x.shape[2:])


@case(cut=("stem",), example=images)
class RegionsAligned(nn.Module):
    """regions of a map are taken out by torchvision's roi_align, channel by channel"""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 4, CLASSES)

    def forward(self, x: Tensor) -> Any:
        corners = torch.tensor([[1.0, 1.0, 5.0, 6.0]], dtype=x.dtype, device=x.device)
        regions = roi_align(torch.relu(self.stem(x)), [corners] * len(x), (2, 2))
        return self.head(regions.flatten(1))
