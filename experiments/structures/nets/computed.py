"""Weights that are computed, and modules with a structure of their own: recurrent, attention, bilinear, 1-D and 3-D."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

from experiments.structures.nets.case import CLASSES, Headed, case, conv, sequences, unit, vectors
from experiments.structures.nets.parameters import Between


@case()
class SlicedWeight(Headed):
    """functional convolution with part of a weight (slimmable networks)"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.wide = unit(3, 8), conv(8, 12)

    def features(self, x: Tensor) -> Any:
        return torch.relu(F.conv2d(self.stem(x), self.wide.weight[:8], padding=1))


@case(whole=("conv1",))
class WeightStandardised(Between):
    """convolution whose filters are standardised on the way: a filter's mean depends on all its inputs"""

    def features(self, x: Tensor) -> Any:
        weight = self.conv2.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return torch.relu(F.conv2d(torch.relu(self.conv1(x)), weight, self.conv2.bias, padding=1))


@case()
class WeightNorm(Between):
    """weight norm by parametrization, on both convolutions"""

    def __init__(self) -> None:
        super().__init__()
        weight_norm(self.conv1)
        weight_norm(self.conv2)


@case()
class SpectralNorm(Between):
    """spectral norm by parametrization, on both convolutions"""

    def __init__(self) -> None:
        super().__init__()
        spectral_norm(self.conv1)
        spectral_norm(self.conv2)


@case()
class MixtureOfKernels(Between):
    """convolution whose kernel is a mixture of four, weighted by the input (CondConv)"""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.route = nn.Parameter(torch.randn(4, 9, 12, 3, 3)), nn.Linear(12, 4)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x))
        route = torch.softmax(self.route(x.mean((0, 2, 3))), 0)
        return torch.relu(F.conv2d(x, torch.einsum("k,koihw->oihw", route, self.kernels), padding=1))


@case()
class HyperNetwork(Between):
    """a linear layer makes the scale of every channel of the next convolution's output"""

    def __init__(self) -> None:
        super().__init__()
        self.maker = nn.Linear(3, 9)

    def features(self, x: Tensor) -> Any:
        scale = self.maker(x.mean((0, 2, 3)))
        return torch.relu(
            F.conv2d(torch.relu(self.conv1(x)), self.conv2.weight * scale[:, None, None, None], padding=1)
        )


class Recurrent(nn.Module):
    """Base: linear layer, recurrent module, linear head."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.inward, self.cell, self.head = nn.Linear(6, 10), kind(10, 12, batch_first=True), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.cell(torch.relu(self.inward(x)))[0][:, -1])


@case(whole=("inward", "cell"), example=sequences)
class LSTM(Recurrent):
    """LSTM module"""

    def __init__(self) -> None:
        super().__init__(nn.LSTM)


@case(whole=("inward", "cell"), example=sequences)
class GRU(Recurrent):
    """GRU module"""

    def __init__(self) -> None:
        super().__init__(nn.GRU)


@case(cut=("inward", "attention", "wide"), example=sequences)
class Attention(nn.Module):
    """multi-head attention with a residual stream and an MLP"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.attention = nn.Linear(6, 12), nn.MultiheadAttention(12, 3, batch_first=True)
        self.wide, self.narrow, self.head = nn.Linear(12, 20), nn.Linear(20, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=("inward", "block.self_attn", "block.linear1", "wide"), example=sequences)
class EncoderLayer(nn.Module):
    """transformer encoder layer, whose fast path sees no Python"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.head = nn.Linear(6, 12), nn.Linear(20, CLASSES)
        self.block, self.wide = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True), nn.Linear(12, 20)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(self.wide(self.block(self.inward(x)).mean(1))))


@case(cut=("wide",), whole=("triple",), example=sequences)
class HandWrittenAttention(Attention):
    """attention from linear layers, a view into heads with constant numbers, and the fused product"""

    def __init__(self) -> None:
        super().__init__()
        self.triple, self.out = nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        query, key, value = self.triple(x).view(x.shape[0], -1, 3, 3, 4).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(example=lambda: (vectors(), vectors()))
class Bilinear(nn.Module):
    """bilinear layer behind two linear ones"""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 8), nn.Linear(6, 10)
        self.both, self.head = nn.Bilinear(8, 10, 12), nn.Linear(12, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        return self.head(torch.relu(self.both(torch.relu(self.left(left)), torch.relu(self.right(right)))))


@case(cut=("conv1", "conv2"), example=lambda: torch.randn(4, 3, 16))
class Conv1d(Headed):
    """one-dimensional convolutions"""

    def __init__(self) -> None:
        super().__init__(12)
        self.conv1, self.conv2 = nn.Conv1d(3, 8, 3), nn.Conv1d(8, 12, 3, padding=2, padding_mode="circular")

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))))


@case(cut=("conv1", "up"), example=lambda: torch.randn(4, 3, 4, 6, 6))
class Conv3d(Headed):
    """three-dimensional convolution and transposed convolution"""

    def __init__(self) -> None:
        super().__init__(12)
        self.conv1, self.norm = nn.Conv3d(3, 8, 3, padding=1), nn.BatchNorm3d(8)
        self.up = nn.ConvTranspose3d(8, 12, 2, stride=2)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.up(torch.relu(self.norm(self.conv1(x)))))


@case(cut=("conv1",), whole=("conv2",))
class ConvOutput(nn.Module):
    """the output comes straight from a convolution"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(3, 8), conv(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.conv2(torch.relu(self.conv1(x)))


@case(cut=("conv1", "conv2"))
class Checkpointed(Between):
    """activation checkpointing in training mode"""

    def features(self, x: Tensor) -> Any:
        return checkpoint(super().features, x, use_reentrant=False) if self.training else super().features(x)


class Swish(torch.autograd.Function):
    """x * sigmoid(x) with a backward of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        gate = torch.sigmoid(x)
        return grads[0] * gate * (1 + x * (1 - gate))


@case(cut=("conv1", "conv2"))
class CustomFunction(Between):
    """an autograd function of its own in between"""

    def between(self, x: Tensor) -> Any:
        return Swish.apply(x)


@case(cut=("conv1", "conv2"))
class InPlace(Between):
    """in-place arithmetic and an in-place activation"""

    def between(self, x: Tensor) -> Any:
        x *= 2.0
        x += x.mean((2, 3), keepdim=True)
        return F.hardtanh_(x)


@case(cut=("conv1", "conv2"))
class DropPath(Between):
    """dropout of whole samples and of channels in training mode"""

    def between(self, x: Tensor) -> Any:
        x = F.dropout2d(x, 0.5, self.training)
        keep = torch.rand(x.shape[0], 1, 1, 1) < 0.5 if self.training else torch.ones(())
        return x * keep
