"""Which channel owns each index of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from physprune_pl.structure import ChannelGroup, Slice


@dataclass
class Owned:
    """One tensor and, for each of its owned dimensions, the channel that owns each index: [size], N where none."""

    tensor: Tensor
    owners: dict[int, Tensor] = field(default_factory=dict)

    def own(self, part: Slice, group: ChannelGroup, offset: int, nobody: int) -> None:
        """Enter one slice, or raise a ValueError that names it."""
        _check(part, group, self.tensor)
        if part.dim not in self.owners:
            self.owners[part.dim] = torch.full((self.tensor.shape[part.dim],), nobody, dtype=torch.long)
        owner, index = self.owners[part.dim], torch.tensor(part.index, dtype=torch.long)
        channel = torch.tensor(part.channel, dtype=torch.long) + offset
        before = owner[index]
        owner[index] = channel
        if ((before != nobody) & (before != channel) | (owner[index] != channel)).any():
            raise ValueError(f"group {group.name!r}: {part.name} dimension {part.dim} has indices owned twice")


def segments_of(groups: Sequence[ChannelGroup]) -> list[slice]:
    """Return the place of each group in the vectors over all channels."""
    ends = [0, *accumulate(group.size for group in groups)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def owned_tensors(
    groups: Sequence[ChannelGroup],
    segments: Sequence[slice],
    tensors: Mapping[str, Tensor],
    counts: Callable[[Slice], bool],
) -> list[Owned]:
    """Return every tensor of which the groups own something, once however many names it has.

    Args:
        groups: the groups.
        segments: place of each group in the vectors over all N channels.
        tensors: by the names that the slices use; slices of other names are passed over.
        counts: which slices matter.

    Raises:
        ValueError: when a slice does not fit its tensor or its group, or an index has two owners.
    """
    nobody = segments[-1].stop if segments else 0
    # By identity: a tied parameter is one parameter under several names.
    owned: dict[int, Owned] = {}
    for group, segment in zip(groups, segments, strict=True):
        for part in group.slices:
            tensor = tensors.get(part.name)
            if tensor is not None and counts(part):
                owned.setdefault(id(tensor), Owned(tensor)).own(part, group, segment.start, nobody)
    return list(owned.values())


def _check(part: Slice, group: ChannelGroup, tensor: Tensor) -> None:
    where = f"group {group.name!r}: slice of {part.name}"
    if not 0 <= part.dim < tensor.ndim:
        raise ValueError(f"{where}: expected a dimension under {tensor.ndim}, got {part.dim}")
    if len(part.index) != len(part.channel):
        raise ValueError(f"{where}: expected one channel per index, got {len(part.channel)} for {len(part.index)}")
    for name, values, size in ("index", part.index, tensor.shape[part.dim]), ("channel", part.channel, group.size):
        if any(not 0 <= value < size for value in values):
            raise ValueError(f"{where}: expected every {name} from 0 to {size - 1}, got {list(values)}")
