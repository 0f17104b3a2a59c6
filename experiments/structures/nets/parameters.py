"""Norm layers and parameters outside convolutions: scales, position parameters, computed weights, frozen ones."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, sequences, vectors


class Between(Headed):
    """Base: convolution, what the heir puts in between, convolution."""

    def __init__(self, width: int = 12) -> None:
        super().__init__(9)
        self.conv1, self.conv2 = conv(3, width), conv(width, 9)
        self.middle: nn.Module = nn.Identity()

    def between(self, x: Tensor) -> Any:
        return self.middle(x)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(torch.relu(self.between(self.conv1(x)))))


@case(cut=("conv1", "conv2"))
class GroupNormUnits(Between):
    """group norm with four norm groups: the unit is a whole norm group"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.GroupNorm(4, 12)


@case(cut=("conv1", "conv2"))
class GroupNormOne(Between):
    """group norm with one norm group over all channels"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.GroupNorm(1, 12)


@case(cut=("conv1", "conv2"))
class InstanceNorm(Between):
    """instance norm with scale, shift and running statistics"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.InstanceNorm2d(12, affine=True, track_running_stats=True)


@case(cut=("conv1", "conv2"))
class BareInstanceNorm(Between):
    """instance norm without tensors, which torch warns of at another width"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.InstanceNorm2d(12)


@case(cut=("conv1", "conv2"))
class BareBatchNorm(Between):
    """batch norm without scale and shift: a silent channel leaves a constant behind"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.BatchNorm2d(12, affine=False)


@case(cut=("conv2",))
class SpatialLayerNorm(Between):
    """layer norm over channels and pixels: its weight has three dimensions"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.LayerNorm([12, 8, 8])


@case(cut=("conv2",))
class BareLayerNorm(Between):
    """layer norm over channels without parameters"""

    def between(self, x: Tensor) -> Any:
        return F.layer_norm(x.movedim(1, -1), (x.shape[1],)).movedim(-1, 1)


@case(cut=("conv1", "conv2"))
class PReLU(Between):
    """PReLU with a slope per channel"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.PReLU(12)


@case(cut=("conv1", "conv2"))
class Sigmoid(Between):
    """sigmoid: a silent channel still gives one half"""

    def between(self, x: Tensor) -> Any:
        return torch.sigmoid(x)


@case(cut=("stem", "wide"))
class ConvNeXtBlock(Headed):
    """ConvNeXt block: depthwise, layer norm, linear pair, layer scale, residual add"""

    def __init__(self) -> None:
        super().__init__(10)
        self.stem, self.depth, self.norm = conv(3, 10), conv(10, 10, groups=10), nn.LayerNorm(10)
        self.wide, self.narrow = nn.Linear(10, 20), nn.Linear(20, 10)
        self.scale = nn.Parameter(torch.full((10, 1, 1), 1e-6))

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        y = self.narrow(F.gelu(self.wide(self.norm(self.depth(x).permute(0, 2, 3, 1)))))
        return x + self.scale * y.permute(0, 3, 1, 2)


@case(cut=("inward", "wide"), example=sequences)
class RMSNormMLP(nn.Module):
    """pre-norm residual block with RMSNorm"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.norm = nn.Linear(6, 12), nn.RMSNorm(12, eps=1e-6)
        self.wide, self.narrow, self.head = nn.Linear(12, 20), nn.Linear(20, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        return self.head(x + self.narrow(F.silu(self.wide(self.norm(x)))))


@case(cut=("inward", "wide"), example=sequences)
class HandWrittenRMSNorm(RMSNormMLP):
    """the same with the norm written out"""

    in_torch = RMSNormMLP

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.norm.weight
        return self.head(x + self.narrow(F.silu(self.wide(y))))


@case(cut=("conv1", "conv2"))
class LooseScale(Between):
    """scale parameter used through a view, gamma[:, None, None]"""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(12))

    def between(self, x: Tensor) -> Any:
        return x * self.gamma[:, None, None]


@case(cut=("conv1", "conv2"))
class LooseExponent(LooseScale):
    """scale parameter used through a function, gamma.exp()"""

    def between(self, x: Tensor) -> Any:
        return x * self.gamma.exp().view(1, -1, 1, 1)


@case(cut=("conv1", "conv2"))
class RememberedShape(LooseScale):
    """the same seen in a shape that an attribute holds: no channel comes past that view"""

    def __init__(self) -> None:
        super().__init__()
        self.shape = (12, 1, 1)

    def between(self, x: Tensor) -> Any:
        return x * self.gamma.view(self.shape)


@case(cut=("conv1", "conv2"))
class PositionParameter(Between):
    """parameter with one value for every channel and pixel, added"""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 12, 8, 8))

    def between(self, x: Tensor) -> Any:
        return x + self.position


@case(cut=("patch", "wide"))
class ClassToken(nn.Module):
    """class token and positions in front of a residual MLP over patches"""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 12, 4, stride=4), nn.Linear(12, CLASSES)
        self.token, self.position = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 5, 12))
        self.wide, self.narrow = nn.Linear(12, 20), nn.Linear(20, 12)

    def forward(self, x: Tensor) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        x = x + self.narrow(F.gelu(self.wide(x)))
        return self.head(x[:, 0] + x[:, 1:].mean(1))


@case(cut=("conv1", "conv2"))
class Frozen(Between):
    """first convolution frozen"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1.requires_grad_(False)


@case(cut=("conv1", "conv2"))
class DeadChannel(Between):
    """two channels that are zero already"""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.conv1.weight[3:5], self.conv1.bias[3:5] = 0.0, 0.0  # type: ignore[index]


@case()
class ConstantBuffer(Between):
    """channels multiplied by a constant buffer indexed by channel"""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.linspace(0.5, 2.0, 12))

    def between(self, x: Tensor) -> Any:
        return x * self.scale.view(-1, 1, 1)


@case()
class StatefulBuffer(Between):
    """training mode keeps a running mean of every channel by hand, evaluation subtracts it"""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 12, 1, 1))

    def between(self, x: Tensor) -> Any:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3), keepdim=True)
        return x - self.mean


@case(cut=("inward",), example=vectors)
class MatmulParameter(nn.Module):
    """x @ W with a loose parameter instead of a linear layer"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.head = nn.Linear(6, 10), nn.Linear(14, CLASSES)
        self.weight = nn.Parameter(torch.randn(10, 14))

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(torch.relu(self.inward(x)) @ self.weight))


@case(example=vectors)
class EinsumParameter(MatmulParameter):
    """the same product written as einsum"""

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(torch.einsum("bi,ij->bj", torch.relu(self.inward(x)), self.weight)))
