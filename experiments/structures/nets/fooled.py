"""Traps: code that makes channels look independent, or in place, when they are not."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, sequences, unit
from experiments.structures.nets.parameters import Between


@case(whole=("conv1",), cut=("conv2",))
class ChannelRoll(Between):
    """channels moved by one place: the last one wraps around"""

    def between(self, x: Tensor) -> Any:
        return x.roll(1, 1)


@case(whole=("conv1",), cut=("conv2",))
class AddedRoll(Between):
    """channels added to their neighbours"""

    def between(self, x: Tensor) -> Any:
        return x + x.roll(1, 1)


@case()
class ChannelFlip(Between):
    """channels added in reverse order: pairs k and K-1-k stay right together"""

    def between(self, x: Tensor) -> Any:
        return x + x.flip(1)


@case(whole=("conv1",), cut=("conv2",), example=lambda: torch.randn(3, 2, 3, 8, 8))
class TemporalShift(Between):
    """two quarters of the channels are moved between frames; the quarter is read from the shape"""

    def between(self, x: Tensor) -> Any:
        x = x.view(-1, 2, *x.shape[1:])
        fold = x.shape[2] // 4
        back, on, rest = x[:, :, :fold].roll(-1, 1), x[:, :, fold : 2 * fold].roll(1, 1) * 0.5, x[:, :, 2 * fold :]
        return torch.cat([back, on, rest], 2).flatten(0, 1)

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.flatten(0, 1)).view(*x.shape[:2], -1).mean(1)


@case(cut=("right",))
class EvenOdd(Headed):
    """even and odd channels go to different consumers"""

    def __init__(self) -> None:
        super().__init__(9)
        self.stem, self.left, self.right = unit(3, 12), conv(6, 9), conv(6, 9)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(self.left(x[:, ::2])) * torch.relu(self.right(x[:, 1::2]))


@case(whole=("inward",), cut=("last",), example=sequences)
class RotaryPairs(nn.Module):
    """rotary positions: pairs of channels turn by an angle that follows from their place and the width"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.last, self.head = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        half = x.shape[-1] // 2
        angle = torch.arange(x.shape[1])[:, None] * 10.0 ** (-torch.arange(half) / half)
        first, second = x.chunk(2, -1)
        turned = torch.cat([first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], -1)
        return self.head(torch.relu(self.last(turned))).mean(1)


@case(whole=("conv1",), cut=("conv2",))
class DivideByWidth(Between):
    """divides by the square root of the number of channels, read from the shape"""

    def between(self, x: Tensor) -> Any:
        return x / math.sqrt(x.shape[1])


@case(whole=("conv1",), cut=("conv2",))
class TableFromWidth(Between):
    """multiplies by a table computed from the number of channels"""

    def between(self, x: Tensor) -> Any:
        return x * torch.linspace(-1.0, 1.0, x.shape[1])[:, None, None]


@case(whole=("conv1",), cut=("conv2",))
class AssertedWidth(Between):
    """checks its number of channels"""

    def between(self, x: Tensor) -> Any:
        if x.shape[1] != 12:
            raise ValueError(f"expected 12 channels, got {x.shape[1]}")
        return x


class SideGate(Headed):
    """Base: two convolutions, the heir makes one channel from the second and gates the first with it."""

    def __init__(self) -> None:
        super().__init__(9)
        self.body, self.gate, self.last = conv(3, 8), conv(3, 12), conv(8, 9)

    def single(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.last(torch.relu(self.body(x) * self.single(self.gate(x)))))


@case(whole=("gate",), cut=("body", "last"))
class ArgmaxGate(SideGate):
    """the number of the largest channel, which carries no NaN"""

    def single(self, x: Tensor) -> Tensor:
        return x.argmax(1, keepdim=True) + 1.0


@case(whole=("gate",), cut=("last",))
class TopkGate(SideGate):
    """the sum of the four largest channels"""

    def single(self, x: Tensor) -> Tensor:
        return x.topk(4, 1).values.sum(1, keepdim=True)


@case(whole=("gate",), cut=("last",))
class MeanOverChannels(SideGate):
    """mean over channels: it divides by their number"""

    def single(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True)


@case(whole=("gate",), cut=("last",))
class MaxOverChannels(SideGate):
    """largest channel, negative ones included"""

    def single(self, x: Tensor) -> Tensor:
        return x.amax(1, keepdim=True)


@case(cut=("body", "last"))
class CountPositive(SideGate):
    """counts positive channels: a comparison swallows NaN, a silent channel counts as none"""

    def single(self, x: Tensor) -> Tensor:
        return (x > 0).float().sum(1, keepdim=True)


@case(cut=("last",))
class SumOverChannels(SideGate):
    """sum over channels: mixed, but a silent one adds nothing"""

    def single(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)


@case()
class SelectedChannel(Headed):
    """one channel, taken by its number, gates all others"""

    def __init__(self) -> None:
        super().__init__(9)
        self.stem, self.last = conv(3, 12), conv(12, 9)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return torch.relu(self.last(x * torch.tanh(x[:, 5:6])))


@case(whole=("conv1",), cut=("conv2",))
class SoftmaxOverChannels(Between):
    """softmax over channels"""

    def between(self, x: Tensor) -> Any:
        return x.softmax(1)


@case()
class UnitLength(Between):
    """every pixel divided by its length over channels: a silent channel does not change it"""

    def between(self, x: Tensor) -> Any:
        return F.normalize(x, dim=1)


@case(whole=("conv1",), cut=("conv2",))
class LocalResponse(Between):
    """local response norm: a window over neighbouring channels"""

    def between(self, x: Tensor) -> Any:
        return F.local_response_norm(x, 3, alpha=1.0)


@case(whole=("conv1",), cut=("conv2",))
class NeighbourAttention(Between):
    """channel attention by a convolution along the channels (ECA)"""

    def __init__(self) -> None:
        super().__init__()
        self.along = nn.Conv1d(1, 1, 3, padding=1)

    def between(self, x: Tensor) -> Any:
        return x * torch.sigmoid(self.along(x.mean((2, 3)).unsqueeze(1)))[:, 0, :, None, None]


@case(cut=("conv2",))
class CumulativeSum(Between):
    """running sum over channels"""

    def between(self, x: Tensor) -> Any:
        return x.cumsum(1)
