"""Small networks at random: a description that hypothesis draws and shrinks, and the module that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

COLOURS, SIDE, CLASSES = 3, 4, 3
WIDTHS = (4, 6, 8)


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of pictures."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "frozen batch": lambda width: nn.BatchNorm2d(width, affine=False),
    "layer": ChannelNorm,
    "group": lambda width: nn.GroupNorm(2 - width % 2, width),
    "instance": lambda width: nn.InstanceNorm2d(width, affine=True),
    "plain instance": nn.InstanceNorm2d,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True)
class Unit:
    """Convolution, norm, activation; ``groups`` 0 is a depthwise convolution, which keeps or doubles the width."""

    width: int
    kernel: int = 3
    groups: int = 1
    bias: bool = True
    norm: str = "none"
    activation: str = "relu"
    transposed: bool = False

    def build(self, inputs: int, width: int | None = None) -> tuple[nn.Module, int]:
        width = self._width(inputs) if width is None else width
        kind = nn.ConvTranspose2d if self.transposed else nn.Conv2d
        convolution = kind(
            inputs, width, self.kernel, padding=self.kernel // 2, groups=self._groups(inputs, width), bias=self.bias
        )
        return nn.Sequential(convolution, NORMS[self.norm](width), ACTIVATIONS[self.activation]()), width

    def _width(self, inputs: int) -> int:
        return self.width if self.groups else inputs * (1 + self.width % 4 // 2)

    def _groups(self, inputs: int, width: int) -> int:
        groups = self.groups or inputs
        return groups if inputs % groups == 0 and width % groups == 0 else 1


@dataclass(frozen=True)
class Residual:
    """``x + last(first(x))``."""

    first: Unit
    last: Unit

    def build(self, inputs: int) -> tuple[nn.Module, int]:
        first, middle = self.first.build(inputs)
        last, _ = self.last.build(middle, inputs)
        return _Residual(nn.Sequential(first, last)), inputs


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@dataclass(frozen=True)
class Concat:
    """The outputs of two units side by side; with ``dense`` the input and the output of one."""

    left: Unit
    right: Unit
    dense: bool

    def build(self, inputs: int) -> tuple[nn.Module, int]:
        left, first = (nn.Identity(), inputs) if self.dense else self.left.build(inputs)
        right, second = self.right.build(inputs)
        return _Concat(left, right), first + second


class _Concat(nn.Module):
    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], 1)


@dataclass(frozen=True)
class Shared:
    """The same unit twice, its output added to its input in between or not."""

    unit: Unit
    residual: bool

    def build(self, inputs: int) -> tuple[nn.Module, int]:
        inner, _ = self.unit.build(inputs, inputs)
        return _Shared(inner, self.residual), inputs


class _Shared(nn.Module):
    def __init__(self, inner: nn.Module, residual: bool) -> None:
        super().__init__()
        self.inner, self.residual = inner, residual

    def forward(self, x: Tensor) -> Tensor:
        once = self.inner(x)
        return self.inner(x + once if self.residual else once)


@dataclass(frozen=True)
class Pool:
    """Pooling with or without a change of size."""

    kind: str

    def build(self, inputs: int) -> tuple[nn.Module, int]:
        return (nn.MaxPool2d if self.kind == "max" else nn.AvgPool2d)(3, stride=1, padding=1), inputs


@dataclass(frozen=True)
class Head:
    """Mean over the positions or flatten, then one or two linear layers."""

    flatten: bool
    hidden: int | None


Part = Unit | Residual | Concat | Shared | Pool


@dataclass(frozen=True)
class Description:
    """A whole network: a first unit, parts one after the other, and heads that read the same features."""

    stem: Unit
    parts: tuple[Part, ...]
    halve: bool
    heads: tuple[Head, ...]


class Network(nn.Module):
    """What a description stands for; pictures [B, 3, 4, 4] -> scores [B, 3], a tuple of them for several heads."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        stem, width = description.stem.build(COLOURS)
        parts: list[nn.Module] = [stem]
        for part in description.parts:
            module, width = part.build(width)
            parts.append(module)
        self.body = nn.Sequential(*parts)
        self.side = 2 if description.halve else SIDE
        self.flattens = [head.flatten for head in description.heads]
        self.heads = nn.ModuleList(self._head(head, width) for head in description.heads)

    def _head(self, head: Head, width: int) -> nn.Module:
        inputs = width * self.side**2 if head.flatten else width
        if head.hidden is None:
            return nn.Linear(inputs, CLASSES)
        return nn.Sequential(nn.Linear(inputs, head.hidden), nn.ReLU(), nn.Linear(head.hidden, CLASSES))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.body(x)
        x = F.avg_pool2d(x, SIDE // self.side)
        scores = [
            head(x.flatten(1) if flatten else x.mean((2, 3)))
            for head, flatten in zip(self.heads, self.flattens, strict=True)
        ]
        return scores[0] if len(scores) == 1 else tuple(scores)


units = st.builds(
    Unit,
    width=st.sampled_from(WIDTHS),
    kernel=st.sampled_from((1, 3)),
    groups=st.sampled_from((1, 1, 2, 0)),
    bias=st.booleans(),
    norm=st.sampled_from(sorted(NORMS)),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    transposed=st.booleans(),
)
parts = st.one_of(
    units,
    st.builds(Residual, units, units),
    st.builds(Concat, units, units, st.booleans()),
    st.builds(Shared, units, st.booleans()),
    st.builds(Pool, st.sampled_from(("max", "mean"))),
)
heads = st.builds(Head, st.booleans(), st.sampled_from((None, 5)))
descriptions = st.builds(
    Description,
    stem=units,
    parts=st.lists(parts, max_size=3).map(tuple),
    halve=st.booleans(),
    heads=st.lists(heads, min_size=1, max_size=2).map(tuple),
)
