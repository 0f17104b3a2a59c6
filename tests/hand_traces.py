"""Traces written by hand, small enough to work every figure out on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from physprune_pl.channels import ChannelGroup, Role, Slice
from physprune_pl.tracing_types import MixingCall, Trace


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

    The layer sizes[i] -> sizes[i + 1] has sizes[i] * sizes[i + 1] parameters and as many multiply-adds.
    """
    rough = set(inexact)
    shapes = {f"fc{i}": (sizes[i + 1], sizes[i]) for i in range(len(sizes) - 1)}
    groups = []
    for i, size in enumerate(sizes[1:-1]):
        slices = (part(f"fc{i}", 0, size, "filter"), part(f"fc{i + 1}", 1, size, "consumer"))
        groups.append(ChannelGroup(f"fc{i}", size, slices, exact=i not in rough))
    return make_trace(groups, shapes, [MixingCall(name, 0, 1, 1) for name in shapes])


def mask(size: int, *gone: int) -> torch.Tensor:
    removed = torch.zeros(size, dtype=torch.bool)
    removed[list(gone)] = True
    return removed
