"""Groups after a cut: the same slices at their new indices, and where each channel came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, Slice
from physprune_pl.surgery.plan import PruningPlan

Places = Mapping[int, int]


def kept_channels(plan: PruningPlan) -> dict[str, tuple[int, ...]]:
    """Return the original indices of the channels that each group kept, ascending, by the name of the group.

    Groups that stayed whole are left out.
    """
    kept = {}
    for cut in plan.groups:
        if cut.removed:
            gone = set(cut.removed)
            kept[cut.name] = tuple(index for index in range(cut.before) if index not in gone)
    return kept


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
