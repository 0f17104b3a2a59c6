"""Traps: code that folds or factors channels, swallows NaN, or hides a wrong cut behind a silent branch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, sequences, unit
from experiments.structures.nets.parameters import Between


@case(cut=("conv2",))
class ChannelsAsBatch(Between):
    """every channel filtered by the same small network, folded into the batch"""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(1, 4), conv(4, 1)

    def between(self, x: Tensor) -> Any:
        folded = x.flatten(0, 1).unsqueeze(1)
        return self.second(torch.relu(self.first(folded))).view(x.shape[0], -1, *x.shape[2:])


@case(cut=("across", "last"), example=sequences)
class Mixer(nn.Module):
    """MLP-Mixer: the same linear kind runs over steps and over channels"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.across, self.back = nn.Linear(6, 12), nn.Linear(7, 9), nn.Linear(9, 7)
        self.last, self.head = nn.Linear(12, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.back(torch.relu(self.across(x.mT))).mT
        return self.head(torch.relu(self.last(x))).mean(1)


@case(cut=("conv1", "conv2"))
class BatchMixing(Between):
    """subtracts the mean over samples in evaluation too: samples are not independent"""

    def between(self, x: Tensor) -> Any:
        return x - x.mean(0, keepdim=True)


@case(cut=("conv2",))
class NanToNum(Between):
    """wipes NaN inside the network"""

    def between(self, x: Tensor) -> Any:
        return torch.nan_to_num(x)


@case(cut=("conv2",))
class BranchOnNan(Between):
    """takes another way when it meets NaN"""

    def between(self, x: Tensor) -> Any:
        return torch.zeros_like(x) if bool(x.isnan().any()) else x * 2.0


@case()
class BranchOnValue(Between):
    """which convolution runs depends on the value of a feature"""

    def __init__(self) -> None:
        super().__init__()
        self.other = conv(12, 9)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x))
        return torch.relu(self.conv2(x) if float(x.detach().sum()) > 3.0 else self.other(x))


@case(cut=("conv2",))
class Thresholded(Between):
    """torch.where on a comparison: NaN becomes zero"""

    def between(self, x: Tensor) -> Any:
        return torch.where(x > 0.1, x, torch.zeros_like(x))


@case()
class PixelShuffle(Headed):
    """pixel shuffle: four channels become one"""

    def __init__(self) -> None:
        super().__init__(9)
        self.conv1, self.conv2 = conv(3, 16), conv(4, 9)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(F.pixel_shuffle(torch.relu(self.conv1(x)), 2)))


@case()
class PixelUnshuffle(Headed):
    """pixel unshuffle: one channel becomes four"""

    def __init__(self) -> None:
        super().__init__(9)
        self.conv1, self.conv2 = conv(3, 5), conv(20, 9)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(F.pixel_unshuffle(torch.relu(self.conv1(x)), 2)))


@case()
class FactoredView(Between):
    """a view factors the channels, the parts are summed (maxout without the max)"""

    def __init__(self) -> None:
        super().__init__()
        self.conv2 = conv(4, 9)

    def between(self, x: Tensor) -> Any:
        return x.view(x.shape[0], 3, -1, *x.shape[2:]).sum(1)


@case()
class Interleaved(Between):
    """two halves interleaved by stack and flatten"""

    def between(self, x: Tensor) -> Any:
        first, second = x.chunk(2, 1)
        return torch.stack([first, second], 2).flatten(1, 2)


class Branch(Headed):
    """Base: a residual branch whose end is nearly or exactly silent; the heir says what happens inside."""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.inner, self.outer, self.norm = unit(3, 8), conv(8, 12), conv(12, 8), nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1e-6))

    def inside(self, x: Tensor) -> Tensor:
        return x

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return x + self.norm(self.outer(torch.relu(self.inside(self.inner(x)))))


@case(cut=("stem.0", "inner", "outer"))
class ZeroInitBranch(Branch):
    """residual branch whose last batch norm starts at zero"""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.norm.weight)


@case(cut=("stem.0", "outer"), whole=("inner",))
class ZeroInitRoll(ZeroInitBranch):
    """a wrong cut behind a batch norm that starts at zero"""

    def inside(self, x: Tensor) -> Tensor:
        return x.roll(1, 1)


@case(cut=("stem.0", "inner", "outer"))
class LayerScale(Branch):
    """residual branch behind a layer scale of 1e-6"""

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        return x + self.scale * self.outer(torch.relu(self.inside(self.inner(x))))


@case(cut=("stem.0", "outer"), whole=("inner",))
class LayerScaleRoll(LayerScale):
    """a wrong cut behind a layer scale of 1e-6"""

    def inside(self, x: Tensor) -> Tensor:
        return x.roll(1, 1)
