"""Small networks at random: a description that hypothesis draws and shrinks, and the module that it stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import random_modules as made
import torch
from hypothesis import strategies as st
from random_modules import Positions
from torch import Tensor, nn

COLOURS, SIDE, CLASSES = 3, 4, 3
WIDTHS = (4, 6, 8)
Built = tuple[nn.Module, int]
"""A module and the number of channels that it puts out."""


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

    def build(self, inputs: int, positions: Positions, width: int | None = None) -> Built:
        width = self._width(inputs) if width is None else width
        kind = (made.TRANSPOSED if self.transposed else made.CONVOLUTIONS)[positions]
        convolution = kind(
            inputs, width, self.kernel, padding=self.kernel // 2, groups=self._groups(inputs, width), bias=self.bias
        )
        norm, activation = made.NORMS[self.norm](width, positions), made.ACTIVATIONS[self.activation](width)
        return nn.Sequential(convolution, norm, activation), width

    def _width(self, inputs: int) -> int:
        return self.width if self.groups else inputs * (1 + self.width % 4 // 2)

    def _groups(self, inputs: int, width: int) -> int:
        groups = self.groups or inputs
        return groups if inputs % groups == 0 and width % groups == 0 else 1


@dataclass(frozen=True)
class Residual:
    """``x + scale * last(first(x))``."""

    first: Unit
    last: Unit
    scaled: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        first, middle = self.first.build(inputs, positions)
        last, _ = self.last.build(middle, positions, inputs)
        scale = nn.Parameter(torch.full((inputs, *[1] * positions), 1e-6)) if self.scaled else None
        return made.Residual(nn.Sequential(first, last), scale), inputs


@dataclass(frozen=True)
class Concat:
    """The outputs of two units side by side; with ``dense`` the input and the output of one."""

    left: Unit
    right: Unit
    dense: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        left, first = (nn.Identity(), inputs) if self.dense else self.left.build(inputs, positions)
        right, second = self.right.build(inputs, positions)
        return made.Concat(left, right), first + second


@dataclass(frozen=True)
class Shared:
    """The same unit twice, its output added to its input in between or not."""

    unit: Unit
    residual: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        inner, _ = self.unit.build(inputs, positions, inputs)
        return made.Shared(inner, self.residual), inputs


@dataclass(frozen=True)
class Pool:
    """Pooling that keeps the size."""

    kind: str

    def build(self, inputs: int, positions: Positions) -> Built:
        return made.POOLS[self.kind, positions](3, stride=1, padding=1), inputs


@dataclass(frozen=True)
class Shuffle:
    """Channels dealt out anew, where their number allows it."""

    groups: int

    def build(self, inputs: int, positions: Positions) -> Built:
        return made.Shuffle(self.groups if inputs % self.groups == 0 else 1), inputs


@dataclass(frozen=True)
class Gate:
    """A unit of twice the width whose halves are multiplied."""

    unit: Unit
    kind: str

    def build(self, inputs: int, positions: Positions) -> Built:
        inner, _ = self.unit.build(inputs, positions, 2 * self.unit.width)
        return made.Gated(inner, self.kind), self.unit.width


@dataclass(frozen=True)
class Excite:
    """Squeeze and excitation."""

    hidden: int
    linear: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        return made.Excite(inputs, self.hidden, positions, self.linear), inputs


@dataclass(frozen=True)
class SplitPaths:
    """Half of the channels through a unit, the other half around it."""

    unit: Unit
    chunk: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        kept = inputs - inputs // 2 if self.chunk else inputs // 2  # a chunk rounds up
        inner, width = self.unit.build(inputs - kept, positions)
        return made.SplitPaths(inner, self.chunk), kept + width


@dataclass(frozen=True)
class Placed:
    """A learned number for every channel, or for every channel and position, is added."""

    everywhere: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        return made.Placed((1, inputs, *[1 if self.everywhere else SIDE] * positions)), inputs


@dataclass(frozen=True)
class Tokens:
    """A layer of a transformer: attention, or two linear layers, added to its input."""

    kind: str
    size: int
    heads: int
    norm: bool

    def build(self, inputs: int, positions: Positions) -> Built:
        norm = nn.LayerNorm(inputs) if self.norm else nn.Identity()
        return made.Tokens(norm, self._inner(inputs)), inputs

    def _inner(self, width: int) -> nn.Module:
        if self.kind == "linear":
            hidden = self.size * self.heads
            return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        if self.kind == "packed":
            return made.Packed(width, 1 + (width + 1) % 2, batch_first=True)
        return made.Attention(width, self.size, self.heads, "fused" in self.kind, "written" in self.kind)


@dataclass(frozen=True)
class Head:
    """Mean over the positions or flatten, then one or two linear layers, or none: then the features are returned."""

    flatten: bool
    layers: int

    def build(self, width: int, size: int) -> nn.Module:
        inputs = width * size if self.flatten else width
        squeeze = nn.Flatten() if self.flatten else nn.Sequential(nn.Flatten(2), made.Mean())
        hidden = [nn.Linear(inputs, 5), nn.ReLU()] if self.layers == 2 else []
        last = [nn.Linear(5 if hidden else inputs, CLASSES)] if self.layers else []
        return nn.Sequential(squeeze, *hidden, *last)


Part = Unit | Residual | Concat | Shared | Pool | Shuffle | Gate | Excite | SplitPaths | Placed | Tokens


@dataclass(frozen=True)
class Description:
    """A whole network: a first unit, parts one after the other, and heads that read the same features."""

    positions: Positions
    stem: Unit
    parts: tuple[Part, ...]
    halve: bool
    heads: tuple[Head, ...]

    def example(self) -> Tensor:
        """Return four sequences [4, 3, 4] or pictures [4, 3, 4, 4]."""
        return torch.randn(4, COLOURS, *[SIDE] * self.positions)


class Network(nn.Module):
    """What a description stands for; sequences or pictures -> scores [B, 3], a tuple of them for several heads."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        positions = description.positions
        stem, width = description.stem.build(COLOURS, positions)
        self.body = nn.Sequential(stem)
        for part in description.parts:
            module, width = part.build(width, positions)
            self.body.append(module)
        pool = made.POOLS["mean", positions](2) if description.halve else nn.Identity()
        self.body.append(pool)
        size = (SIDE // (1 + description.halve)) ** positions
        self.heads = nn.ModuleList(head.build(width, size) for head in description.heads)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.body(x)
        scores = [head(x) for head in self.heads]
        return scores[0] if len(scores) == 1 else tuple(scores)


units = st.builds(
    Unit,
    width=st.sampled_from(WIDTHS),
    kernel=st.sampled_from((1, 3)),
    groups=st.sampled_from((1, 1, 2, 0)),
    bias=st.booleans(),
    norm=st.sampled_from(sorted(made.NORMS)),
    activation=st.sampled_from(sorted(made.ACTIVATIONS)),
    transposed=st.booleans(),
)
parts = st.one_of(
    units,
    st.builds(Residual, units, units, st.booleans()),
    st.builds(Concat, units, units, st.booleans()),
    st.builds(Shared, units, st.booleans()),
    st.builds(Pool, st.sampled_from(("max", "mean"))),
    st.builds(Shuffle, st.sampled_from((2, 3))),
    st.builds(Gate, units, st.sampled_from(("glu", "chunk", "slice"))),
    st.builds(Excite, st.sampled_from((2, 3)), st.booleans()),
    st.builds(SplitPaths, units, st.booleans()),
    st.builds(Placed, st.booleans()),
    st.builds(
        Tokens,
        st.sampled_from(("packed", "fused", "fused written", "separate", "separate written", "linear")),
        st.sampled_from((2, 3)),
        st.sampled_from((2, 3)),
        st.booleans(),
    ),
)
heads = st.builds(Head, st.booleans(), st.sampled_from((2, 1, 1, 1, 2, 2, 0)))
descriptions = st.builds(
    Description,
    positions=st.sampled_from((1, 2)),
    stem=units.map(lambda unit: replace(unit, groups=1)),  # nothing in conv groups that read the input can go
    parts=st.lists(parts, min_size=1, max_size=3).map(tuple),
    halve=st.booleans(),
    heads=st.lists(heads, min_size=1, max_size=2).map(tuple),
)
