"""Networks that keep state, use hooks or randomness of their own, or return something unusual."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images, sequences, unit, vectors
from experiments.structures.nets.parameters import Between


class Named(NamedTuple):
    """Output of ``NamedTupleOutput``."""

    logits: Tensor
    features: Tensor


@case(cut=("conv2",), whole=("conv1",))
class NamedTupleOutput(Between):
    """named tuple with a feature map"""

    def forward(self, x: Tensor) -> Any:
        return Named(super().forward(x), self.conv1(x))


@case(cut=("conv2",), whole=("conv1",))
class ObjectOutput(NamedTupleOutput):
    """an object of a class nobody knows, with a feature map as attribute"""

    def forward(self, x: Tensor) -> Any:
        return SimpleNamespace(**super().forward(x)._asdict())


@case(whole=("conv1",), cut=("conv2",))
class ReturnedParameter(Between):
    """returns the parameter that scales the channels"""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(12))

    def between(self, x: Tensor) -> Any:
        return x * self.gamma[:, None, None]

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), self.gamma


@case()
class ReturnedPenalty(Between):
    """returns the sum of squares of its filters in training mode"""

    def forward(self, x: Tensor) -> Any:
        logits = super().forward(x)
        return (logits, sum(p.pow(2).sum() for p in self.parameters())) if self.training else logits


@case(whole=("conv1",), cut=("conv2",))
class PlainTensor(Between):
    """channels multiplied by a tensor that is neither parameter nor buffer"""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.linspace(0.5, 2.0, 12)

    def between(self, x: Tensor) -> Any:
        return x * self.table[:, None, None]


@case(whole=("conv1",), cut=("conv2",))
class CachedTable(Between):
    """channels multiplied by a table that the first call makes and keeps"""

    def __init__(self) -> None:
        super().__init__()
        self.table: Tensor | None = None

    def between(self, x: Tensor) -> Any:
        if self.table is None:
            self.table = torch.linspace(-1.0, 1.0, x.shape[1])[:, None, None]
        return x * self.table


@case(cut=("conv2",))
class PlainAverage(Between):
    """keeps a running mean of its features as a plain attribute, which a probe must not spoil"""

    def __init__(self) -> None:
        super().__init__()
        self.average = torch.zeros(())

    def between(self, x: Tensor) -> Any:
        self.average = 0.9 * self.average + 0.1 * x.detach().mean()
        return x


@case()
class CallCounter(Between):
    """takes another convolution from the third call on"""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.other = 0, conv(12, 9)

    def features(self, x: Tensor) -> Any:
        self.calls += 1
        last = self.conv2 if self.calls < 3 else self.other
        return torch.relu(last(torch.relu(self.conv1(x))))


@case(cut=("conv1", "conv2"))
class InPlaceInput(Between):
    """changes its input in place"""

    def features(self, x: Tensor) -> Any:
        return super().features(x.mul_(0.5))


@case(cut=("conv1", "conv2"))
class ClampedWeights(Between):
    """clamps its own weights in every forward pass"""

    def features(self, x: Tensor) -> Any:
        with torch.no_grad():
            self.conv1.weight.clamp_(-1.0, 1.0)
        return super().features(x)


@case(cut=("stem.0", "inner", "outer"))
class PythonRandomDepth(Headed):
    """skips the residual branch at random in training mode, by Python's own generator"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.inner, self.outer = unit(3, 8), conv(8, 12), conv(12, 8)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        if self.training and random.random() < 0.5:
            return x
        return x + self.outer(torch.relu(self.inner(x)))


@case(cut=("conv2",))
class NoisyFeatures(Between):
    """noise on every channel in training mode"""

    def between(self, x: Tensor) -> Any:
        return x + torch.randn_like(x) if self.training else x


@case(cut=("conv1", "conv2"))
class FrozenNorm(Between):
    """keeps its batch norm in evaluation mode, whatever train() says"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.BatchNorm2d(12)
        self.train()

    def train(self, mode: bool = True) -> FrozenNorm:
        super().train(mode)
        self.middle.eval()
        return self


@case()
class HookScale(Between):
    """a forward hook multiplies by a parameter that it found in its closure"""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(12))
        self.conv1.register_forward_hook(lambda _module, _inputs, output: output * self.gamma[:, None, None])


@case(cut=("left.0", "right.0", "fuse"))
class SharedNorm(Headed):
    """two convolutions in front of one batch norm"""

    def __init__(self) -> None:
        super().__init__(9)
        self.left, self.right, self.norm = unit(3, 8), unit(3, 8), nn.BatchNorm2d(8)
        self.fuse = conv(16, 9)

    def features(self, x: Tensor) -> Any:
        return self.fuse(torch.cat([self.norm(self.left(x)), self.norm(self.right(x))], 1))


@case(cut=("conv1", "conv2"))
class SharedBias(Headed):
    """two convolutions with one bias"""

    def __init__(self) -> None:
        super().__init__(8)
        self.conv1, self.conv2 = conv(3, 8), conv(8, 8)
        self.conv2.bias = self.conv1.bias

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))))


@case(example=vectors)
class TiedAutoencoder(nn.Module):
    """decoder weight is the encoder's, transposed"""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 12)

    def forward(self, x: Tensor) -> Any:
        return F.linear(torch.relu(self.encoder(x)), self.encoder.weight.t())


@case(example=lambda: (images(), torch.randint(0, 7, (4,))))
class ConditionalNorm(nn.Module):
    """scale and shift of every channel come from an embedding of a label, in two halves"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm, self.table = conv(3, 8), nn.BatchNorm2d(8, affine=False), nn.Embedding(7, 16)
        self.conv2, self.head = conv(8, 9), nn.Linear(9, CLASSES)

    def forward(self, x: Tensor, label: Tensor) -> Any:
        scale, shift = self.table(label)[:, :, None, None].chunk(2, 1)
        x = torch.relu(self.norm(self.conv1(x)) * scale + shift)
        return self.head(torch.relu(self.conv2(x)).mean((2, 3)))


@case(whole=("inward", "cell"), example=sequences)
class GRUCell(nn.Module):
    """loop over a recurrent cell module"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.cell, self.head = nn.Linear(6, 10), nn.GRUCell(10, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        state = None
        for step in range(x.shape[1]):
            state = self.cell(torch.relu(self.inward(x[:, step])), state)
        return self.head(state)


@case(refusal="MACs cannot be counted", example=vectors)
class ForceField(nn.Module):
    """returns the gradient of an energy with respect to its input"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.hidden, self.energy = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Any:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = self.energy(F.softplus(self.hidden(F.softplus(self.inward(x))))).sum()
            return torch.autograd.grad(energy, x, create_graph=self.training)[0]


@case(cut=("conv1", "conv2"), example=lambda: images().bfloat16())
class HalfPrecision(Between):
    """parameters and input in bfloat16"""

    def __init__(self) -> None:
        super().__init__()
        self.bfloat16()


@case(cut=("conv2",))
class Bottleneck(Headed):
    """a convolution with a single output channel, which nobody can cut"""

    def __init__(self) -> None:
        super().__init__(9)
        self.conv1, self.conv2 = conv(3, 1), conv(1, 9)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))))


@case()
class EvenBatch(Between):
    """takes frames in pairs along the batch: one sample alone is no valid input"""

    def between(self, x: Tensor) -> Any:
        pairs = x.view(-1, 2, *x.shape[1:])
        return (pairs + pairs.flip(1)).flatten(0, 1)
