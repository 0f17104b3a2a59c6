"""What every other module speaks of: slices, groups, and what the trace of a network leaves behind, as plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Literal

import torch
from torch import Tensor

Role = Literal["filter", "carrier", "consumer", "buffer"]

NORM_CHANNELS = 3
"""Numbers that a norm over channels is left with at least: it takes away their mean and their size, and tells the rest.

The layer norm of one number is a constant, that of two numbers says which of them is larger.
"""


@dataclass(frozen=True)
class Slice:
    """Part of a group in one dimension of one tensor: ``index[i]`` along ``dim`` belongs to channel ``channel[i]``.

    A channel may own several indices of the same dimension (flatten before a linear layer, grouped convolutions);
    an index never belongs to two channels.

    Attributes:
        name: path of the parameter or buffer in the traced model, such as ``"layer1.0.conv1.weight"``.
        dim: dimension of that tensor.
        index: positions along ``dim``.
        channel: channel (0 .. K-1) that owns the position of the same place in ``index``.
        role: ``"filter"`` rows of a weight that produce the channel; ``"carrier"`` per-channel parameters on its way
            (biases, norm scales and shifts); ``"consumer"`` columns of a weight that read it; ``"buffer"`` running
            statistics, which are cut with the channel and never counted in its strength.
    """

    name: str
    dim: int
    index: tuple[int, ...]
    channel: tuple[int, ...]
    role: Role

    def positions(self, channels: Tensor) -> Tensor:
        """Return the positions along the dimension that belong to channels, given a mask of these [K].

        >>> columns = Slice("fc.weight", 1, (0, 1, 2, 3), (0, 0, 1, 1), "consumer")
        >>> columns.positions(torch.tensor([False, True])).tolist()
        [2, 3]
        """
        index, channel = self._tensors
        return index[channels[channel]]

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.index, dtype=torch.long), torch.tensor(self.channel, dtype=torch.long)


@dataclass(frozen=True)
class NormSlice:
    """Where channels of a group meet a norm that has no tensor for them, or another statistic over channels.

    Attributes:
        mode: ``"eval"`` or ``"train"``.
        call: number of the norm among the norms and statistics of a run in that mode, from 1.
        axis: of what the norm reads, counted from its end.
        index: positions along that axis.
        channel: channel that owns the position of the same place in ``index``.
    """

    mode: str
    call: int
    axis: int
    index: tuple[int, ...]
    channel: tuple[int, ...]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that the structure of a network couples, so that they are pushed and removed together.

    Attributes:
        name: path of the first module that produces the channels, such as ``"layer1.0.conv1"``.
        size: number of channels K.
        slices: every place where the channels live.
        exact: whether a channel whose producing slices are zero can be removed without changing the output; inexact
            groups (behind a norm over channels, for example) change the statistics of those that stay.
        least: fewest channels that a plan leaves: as many as :data:`NORM_CHANNELS` need behind a norm over channels.
        norms: where its channels meet norms without tensors.
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    exact: bool = True
    least: int = 1
    norms: tuple[NormSlice, ...] = ()

    @property
    def producing(self) -> tuple[Slice, ...]:
        """Slices that make the channel's value: filters and carriers."""
        return tuple(part for part in self.slices if part.role in ("filter", "carrier"))

    @cached_property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Sets of channels of which one each must stay, or a slice would be empty: the least that slices consist of.

        >>> rows = Slice("conv.weight", 0, (0, 1, 2, 3), (0, 1, 2, 3), "filter")
        >>> half = Slice("half.weight", 1, (0, 1), (2, 3), "consumer")
        >>> ChannelGroup("conv", 4, (rows, half)).parts
        ((2, 3),)
        """
        held = {frozenset(part.channel) for part in self.slices} or {frozenset(range(self.size))}
        return tuple(sorted(tuple(sorted(one)) for one in held if not any(other < one for other in held)))

    def leaving_one(self, removed: Tensor) -> Tensor:
        """Return the channels to remove without one, the middle one, of every part that would lose all of its own.

        >>> import torch
        >>> ChannelGroup("conv", 3, ()).leaving_one(torch.tensor([True, True, True])).tolist()
        [True, False, True]
        """
        left = removed.clone()
        for part in self.parts:
            if bool(left[list(part)].all()):
                left[part[len(part) // 2]] = False
        return left


@dataclass(frozen=True)
class LeftWhole:
    """A module that is never cut, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class MixingCall:
    """One call that multiplies channels with a weight: a convolution or a linear layer, at the shapes of the trace.

    The call costs ``positions * prod(shape of the weight)`` MACs for one sample, so after a cut
    ``positions * prod(kept sizes of the weight)``. A weight that is called twice has two of these. A call that uses
    some rows of the weight only costs their share of that.

    Attributes:
        weight: path of the weight in the traced model.
        positions: how often the whole weight is applied to one sample (output pixels of a convolution, input pixels
            of a transposed one, tokens of a linear layer).
        dims: dimensions of the weight whose sizes are multiplied, None for all of them. An attention product costs
            ``positions * heads * head size``, the size of one dimension of its output projection.
        share: part of the weight's rows that the call uses.
        across: tensor and dimension of whose size ``positions`` are a multiple: its channels pass the call one by one,
            along another axis than the one that is mixed, as those of a picture pass a layer that mixes its patches.
    """

    weight: str
    positions: int
    dims: tuple[int, ...] | None = None
    share: Fraction = Fraction(1)
    across: tuple[str, int] | None = None

    def macs(self, shape: Sequence[int]) -> int:
        """MACs of the call for a shape of the weight, with all positions.

        >>> MixingCall("fc.weight", positions=7).macs((3, 4))
        84
        """
        return int(
            self.share * self.positions * prod(shape if self.dims is None else [shape[dim] for dim in self.dims])
        )


@dataclass(frozen=True)
class RememberedSize:
    """A number in an attribute of a module that is the size of an axis, and shrinks with it.

    Attributes:
        name: path of the attribute, such as ``"attn.num_heads"``, or ``"mixer.sizes.1"`` of an entry in a container.
        value: the number.
        slots: for each of the things it counts that can go, group and number of all the channels that it consists of.
    """

    name: str
    value: int
    slots: tuple[tuple[tuple[str, int], ...], ...]

    def after(self, removed: Collection[tuple[str, int]]) -> int:
        """Return the number once channels are gone.

        >>> RememberedSize("width", 4, ((("a", 0),), (("a", 1),), (("b", 0), ("b", 1)))).after({("a", 0), ("b", 1)})
        3
        """
        return self.value - sum(all(owner in removed for owner in owners) for owners in self.slots)


@dataclass(frozen=True)
class Trace:
    """A model as pruning sees it.

    Attributes:
        groups: channels that can be removed, by group.
        left_whole: modules that are never cut, with the reason.
        calls: every call that costs MACs and changes with a cut.
        seconds: wall time of the trace.
        shapes: shape of every parameter and buffer; a tensor under several names appears once, under its first.
        parameters: names of the parameters that were used while tracing: those that costs count.
        notes: what the user should know about the trace.
        fixed_macs: MACs of one sample that no entry of ``calls`` covers.
        buffers: names in ``shapes`` that are buffers.
        sizes: what modules remember of sizes that can change.
        ties: names of groups that keep the same share of their channels.
    """

    groups: tuple[ChannelGroup, ...]
    left_whole: tuple[LeftWhole, ...]
    calls: tuple[MixingCall, ...]
    seconds: float
    shapes: dict[str, tuple[int, ...]]
    parameters: frozenset[str]
    notes: tuple[str, ...]
    fixed_macs: int
    buffers: frozenset[str]
    sizes: tuple[RememberedSize, ...] = ()
    ties: tuple[tuple[str, ...], ...] = ()

    def summary(self) -> str:
        """Say in a sentence what was found."""
        channels = sum(group.size for group in self.groups)
        return (
            f"Traced in {self.seconds:.1f} s; groups: {len(self.groups)} with {channels} channels, modules not pruned: "
            f"{len(self.left_whole)}."
        )


Reasons = Mapping[str, str]


def without(trace: Trace, reasons: Reasons) -> Trace:
    """Return the trace with some groups not pruned, given group -> reason."""
    groups = tuple(group for group in trace.groups if group.name not in reasons)
    left = tuple(LeftWhole(name, reason) for name, reason in reasons.items())
    return replace(trace, groups=groups, left_whole=(*trace.left_whole, *left))


def made_by_none(groups: Sequence[ChannelGroup], parameters: Collection[str], reason: str) -> Reasons:
    """Return the groups of which none of some parameters makes channels, with the reason why they are not pruned."""
    others = [group for group in groups if not any(part.name in parameters for part in group.producing)]
    return {group.name: reason for group in others}
