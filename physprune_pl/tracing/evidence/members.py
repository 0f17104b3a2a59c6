"""Which slots channels consist of, and which channels belong to one group: in arrays, as there may be a million slots.

A channel is known by its root, the smallest slot that carries it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physprune_pl.probing.watching.observations import Family
from physprune_pl.tracing.evidence.components import Indices, SlotSpace, connected

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Members:
    """Where channels have slots: an entry for every channel and every family that it has slots of.

    Attributes:
        families: the families.
        root: of every entry the channel, ascending.
        family: of every entry the number of the family, ascending for each channel.
        first: of every entry the first slot.
        count: of every entry how many slots there are.
    """

    families: Sequence[Family]
    root: Indices
    family: Indices
    first: Indices
    count: Indices

    @classmethod
    def of(cls, families: Sequence[Family], space: SlotSpace, root: Indices, wanted: Mask) -> Members:
        """Collect the slots of some families.

        Args:
            families: the families, in the order of their slots.
            space: numbers the slots.
            root: for every slot the channel.
            wanted: mask of the channels that count.

        >>> space = SlotSpace.of({("a", 0): 3, ("b", 1): 2})
        >>> members = Members.of([("a", 0), ("b", 1)], space, np.array([0, 1, 2, 2, 2]), np.arange(5) > 0)
        >>> members.root.tolist(), members.family.tolist(), members.first.tolist(), members.count.tolist()
        ([1, 2, 2], [0, 0, 1], [1, 2, 0], [1, 1, 2])
        """
        parts = [_counted(root[space.slots(family)], wanted) for family in families]
        found, first, count = (np.concatenate([_NONE, *(part[place] for part in parts)]) for place in range(3))
        number = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
        order = np.argsort(found, kind="stable")
        return cls(families, found[order], number[order], first[order], count[order])

    def __contains__(self, root: int) -> bool:
        return bool(self.slots_of(root))

    def slots_of(self, root: int) -> dict[Family, int]:
        """Return how many slots of every family a channel has."""
        start, end = np.searchsorted(self.root, [root, root + 1])
        pairs = zip(self.family[start:end].tolist(), self.count[start:end].tolist(), strict=True)
        return {self.families[number]: count for number, count in pairs}

    def filling(self, sizes: Mapping[Family, int]) -> dict[int, Family]:
        """Return the channels that have all slots of some family, with the first such family."""
        whole = self.count == np.array([sizes[family] for family in self.families], dtype=np.int64)[self.family]
        entries = zip(self.root[whole].tolist(), self.family[whole].tolist(), strict=True)
        return {root: self.families[number] for root, number in reversed(list(entries))}

    def without(self, roots: Sequence[int]) -> Members:
        """Return the same without some channels."""
        return self._part(~np.isin(self.root, roots))

    def clusters(self, makers: Mapping[Family, int]) -> list[Indices]:
        """Collect channels that share a family that makes them, in the order in which they are made: its number."""
        place = np.array([makers.get(family, -1) for family in self.families], dtype=np.int64)[self.family]
        made = place >= 0
        root, place, first = self.root[made], place[made], self.first[made]
        sorting = np.lexsort((first, place, root))
        root, place, first = root[sorting], place[sorting], first[sorting]
        start = np.flatnonzero(np.diff(root, prepend=-1))
        beginning = np.repeat(place[start], np.diff(start, append=len(root)))
        cluster = connected(len(makers), beginning, place)[place[start]]
        return _parted(root[start], np.lexsort((first[start], place[start])), cluster)

    def families_of(self, group: Indices, groups: int) -> Iterator[list[Family]]:
        """Yield the families that the channels of every group have slots of, given the group of every root or -1."""
        owner = group[self.root]
        pairs = np.unique(owner[owner >= 0] * len(self.families) + self.family[owner >= 0])
        for number in range(groups):
            start, end = np.searchsorted(pairs, [number * len(self.families), (number + 1) * len(self.families)])
            yield [self.families[pair - number * len(self.families)] for pair in pairs[start:end].tolist()]

    def _part(self, mask: Mask) -> Members:
        return Members(self.families, self.root[mask], self.family[mask], self.first[mask], self.count[mask])


_NONE: Indices = np.zeros(0, dtype=np.int64)


def _counted(root: Indices, wanted: Mask) -> tuple[Indices, Indices, Indices]:
    """Return the wanted channels among the slots of a family, the first slot of each and how many it has."""
    slot = np.flatnonzero(wanted[root])
    found = root[slot]
    if bool((found[1:] > found[:-1]).all()):
        return found, slot, np.ones_like(slot)
    found, first, count = np.unique(found, return_index=True, return_counts=True)
    return found, slot[first], count


def _parted(values: Indices, order: Indices, label: Indices) -> list[Indices]:
    """Return the values of every label in the given order, the labels as they come first in it."""
    values, label = values[order], label[order]
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[number]
    sorting = np.argsort(rank, kind="stable")
    return np.split(values[sorting], np.cumsum(np.bincount(rank))[:-1]) if len(values) else []


@dataclass(frozen=True)
class Owners:
    """Which group every channel belongs to.

    Attributes:
        group: for every root the number of its group, -1 where it has none.
        channel: for every root the number of the channel in its group.
    """

    group: Indices
    channel: Indices

    @classmethod
    def of(cls, clusters: Sequence[Indices], size: int) -> Owners:
        """Number groups and their channels, given the roots of every group and the number of all slots."""
        group, channel = np.full(size, -1, dtype=np.int64), np.zeros(size, dtype=np.int64)
        for number, roots in enumerate(clusters):
            group[roots], channel[roots] = number, np.arange(len(roots))
        return cls(group, channel)

    def entries(self, roots: Indices, group: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the slots of a family that belong to a group, and the channel of each, given the root of each slot."""
        slots = np.flatnonzero(self.group[roots] == group)
        return tuple(slots.tolist()), tuple(self.channel[roots[slots]].tolist())
