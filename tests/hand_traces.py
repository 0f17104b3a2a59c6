"""Traces and groups written by hand, small enough to work every figure out on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import STRENGTHS
from physprune_pl.structure import ChannelGroup, MixingCall, Role, Slice, Trace


def part(name: str, dim: int, size: int, role: Role, repeat: int = 1, start: int = 0) -> Slice:
    """Channel k owns ``repeat`` consecutive positions from ``start + k * repeat``."""
    index = tuple(range(start, start + size * repeat))
    return Slice(name, dim, index, tuple(place // repeat for place in range(size * repeat)), role)


def make_trace(
    groups: Iterable[ChannelGroup],
    shapes: dict[str, tuple[int, ...]],
    calls: Iterable[MixingCall],
    buffers: Iterable[str] = (),
    fixed_macs: int = 0,
) -> Trace:
    hidden = frozenset(buffers)
    return Trace(tuple(groups), (), tuple(calls), 0.0, shapes, frozenset(shapes) - hidden, (), fixed_macs, hidden)


def chain(sizes: Sequence[int], inexact: Iterable[int] = ()) -> Trace:
    """Linear layers ``fc0, fc1, ...`` without bias from sizes[0] to sizes[-1]; group i is the output of ``fc{i}``.

    The layer sizes[i] -> sizes[i + 1] has sizes[i] * sizes[i + 1] parameters and as many MACs.
    """
    rough = set(inexact)
    shapes = {f"fc{i}": (sizes[i + 1], sizes[i]) for i in range(len(sizes) - 1)}
    groups = []
    for i, size in enumerate(sizes[1:-1]):
        slices = (part(f"fc{i}", 0, size, "filter"), part(f"fc{i + 1}", 1, size, "consumer"))
        groups.append(ChannelGroup(f"fc{i}", size, slices, exact=i not in rough))
    return make_trace(groups, shapes, [MixingCall(name, 1) for name in shapes])


def mask(size: int, *gone: int) -> torch.Tensor:
    removed = torch.zeros(size, dtype=torch.bool)
    removed[list(gone)] = True
    return removed


GROUPS = [
    ChannelGroup(  # a convolution, its norm, a depthwise convolution, a consumer that reads other channels too
        "conv",
        4,
        (
            part("conv.weight", 0, 4, "filter"),
            part("norm.weight", 0, 4, "carrier"),
            part("norm.bias", 0, 4, "carrier"),
            part("norm.running_mean", 0, 4, "buffer"),
            part("depthwise.weight", 0, 4, "carrier"),
            part("mix.weight", 1, 4, "consumer", start=2),
        ),
    ),
    ChannelGroup("mix", 5, (part("mix.weight", 0, 5, "filter"), part("up.weight", 0, 5, "consumer"))),
    # rows of a transposed convolution are dimension 1; a flatten gives two columns a channel
    ChannelGroup("up", 3, (part("up.weight", 1, 3, "filter"), part("head.weight", 1, 3, "consumer", repeat=2))),
    # a recurrent weight: both of its dimensions belong to the same channels
    ChannelGroup("loop", 2, (part("loop.weight", 0, 2, "filter"), part("loop.weight", 1, 2, "consumer"))),
    ChannelGroup("gone", 2, (part("elsewhere.weight", 0, 2, "filter"),)),
]

SHAPES = {
    "conv.weight": (4, 3, 2, 2),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "norm.running_mean": (4,),
    "depthwise.weight": (4, 1, 3, 3),
    "mix.weight": (5, 7, 1, 1),
    "up.weight": (5, 3, 2, 2),
    "head.weight": (2, 6),
    "loop.weight": (2, 2),
    "apart.weight": (3, 3),
}

N = sum(group.size for group in GROUPS)


def make_tensors(dtype=torch.float64, shapes=SHAPES):
    return {name: nn.Parameter(torch.randn(shape).to(dtype)) for name, shape in shapes.items()}


def hand_made(weight, *slices, size=2, strength="l2"):
    parameter = nn.Parameter(torch.tensor(weight))
    return parameter, Penalty([ChannelGroup("g", size, slices)], {"w": parameter}, STRENGTHS[strength]())


def value_of(penalty, pressure):
    """Return sum_k pressure_k s_k."""
    strengths = penalty.strengths()
    return (pressure.to(strengths) * strengths).sum()
