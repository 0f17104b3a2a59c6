"""Groups after a cut: the same slices at their new indices, and where each channel came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, RememberedSize, Slice, Trace
from physprune_pl.surgery.plan import PruningPlan

Places = Mapping[int, int]


def kept_channels(plan: PruningPlan) -> dict[str, tuple[int, ...]]:
    """Return the original indices of the channels that each group kept, ascending, by the name of the group.

    Groups that stayed whole are left out.
    """
    return {cut.name: cut.kept for cut in plan.groups if cut.removed}


def kept_indices(plan: PruningPlan, name: str, dim: int) -> tuple[int, ...] | None:
    """Return the original indices that a dimension of a tensor kept, or None where it was not cut."""
    cut = plan.tensors.get(plain(name))
    return None if cut is None else cut.keep.get(dim)


def shrink_groups(groups: Sequence[ChannelGroup], plan: PruningPlan) -> tuple[ChannelGroup, ...]:
    """Return the groups as they are in the network that the plan was applied to.

    Channels and indices are renumbered in the order in which they were kept.
    """
    kept = kept_channels(plan)
    return tuple(_shrink(group, kept.get(group.name, tuple(range(group.size))), plan) for group in groups)


def follow_groups(groups: Sequence[ChannelGroup], plan: PruningPlan) -> tuple[ChannelGroup, ...]:
    """Return the groups as they are there with their channels numbered as before: those that went own nothing.

    >>> from physprune_pl.surgery.cuts import GroupCut, TensorCut
    >>> group = ChannelGroup("conv", 3, (Slice("conv.weight", 0, (0, 1, 2), (0, 1, 2), "filter"),))
    >>> cut = GroupCut("conv", 3, 2, True, (1,)), TensorCut((3, 1), {0: (0, 2)})
    >>> (left,) = follow_groups([group], PruningPlan({"conv.weight": cut[1]}, (cut[0],), (), (3, 2), (3, 2)))
    >>> left.size, left.slices[0].index, left.slices[0].channel
    (3, (0, 1), (0, 2))
    """
    gone = {cut.name: frozenset(cut.removed) for cut in plan.groups}
    return tuple(_follow(group, gone.get(group.name, frozenset()), plan) for group in groups)


def _follow(group: ChannelGroup, gone: frozenset[int], plan: PruningPlan) -> ChannelGroup:
    channels = {channel: channel for channel in range(group.size) if channel not in gone}
    slices = (_move(part, channels, kept_indices(plan, part.name, part.dim)) for part in group.slices)
    return replace(group, slices=tuple(slices), norms=())


def gone_channels(groups: Sequence[ChannelGroup], plan: PruningPlan | None) -> list[Tensor]:
    """Return which channels of each group a plan has removed, bool [K]; none without a plan."""
    removed = {} if plan is None else {cut.name: list(cut.removed) for cut in plan.groups}
    masks = [torch.zeros(group.size, dtype=torch.bool) for group in groups]
    for group, mask in zip(groups, masks, strict=True):
        mask[removed.get(group.name, [])] = True
    return masks


def shrink_trace(trace: Trace, plan: PruningPlan) -> Trace:
    """Return the trace of a network as it is once the plan for it was applied.

    >>> from torch import nn, zeros
    >>> from physprune_pl import plan_pruning
    >>> from physprune_pl.tracing.tracer import trace
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> left = shrink_trace(trace(model, zeros(1, 4)), plan_pruning(model, zeros(1, 4), {"macs": 0.5}))
    >>> left.groups[0].size, left.shapes["2.weight"]
    (4, (2, 4))
    """
    after = {name: cut.shape_after for name, cut in plan.tensors.items()}
    shapes = {name: after.get(plain(name), shape) for name, shape in trace.shapes.items()}
    sizes = tuple(_shrink_size(size, plan) for size in trace.sizes)
    return replace(trace, groups=shrink_groups(trace.groups, plan), shapes=shapes, sizes=sizes)


def _shrink_size(size: RememberedSize, plan: PruningPlan) -> RememberedSize:
    removed = {(cut.name, channel) for cut in plan.groups for channel in cut.removed}
    places = {
        name: {channel: place for place, channel in enumerate(kept)} for name, kept in kept_channels(plan).items()
    }
    slots = ([owner for owner in owners if owner not in removed] for owners in size.slots)
    moved = (
        tuple((name, places.get(name, {}).get(channel, channel)) for name, channel in left) for left in slots if left
    )
    return replace(size, value=size.after(removed), slots=tuple(moved))


def _shrink(group: ChannelGroup, kept: Sequence[int], plan: PruningPlan) -> ChannelGroup:
    channels = {channel: place for place, channel in enumerate(kept)}
    slices = tuple(_move(part, channels, kept_indices(plan, part.name, part.dim)) for part in group.slices)
    return replace(group, size=len(kept), slices=slices, least=min(group.least, len(kept)), norms=())


def _move(part: Slice, channels: Places, kept: Sequence[int] | None) -> Slice:
    places = None if kept is None else {index: place for place, index in enumerate(kept)}
    pairs = [
        (index if places is None else places[index], channels[channel])
        for index, channel in zip(part.index, part.channel, strict=True)
        if channel in channels
    ]
    return replace(part, index=tuple(index for index, _ in pairs), channel=tuple(channel for _, channel in pairs))
