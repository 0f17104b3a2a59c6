"""Channels that meet all channels of another layer at once, such as a gate of width one: they couple nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from physprune_pl.probing.watching.observations import Family
from physprune_pl.tracing.evidence.components import Link, SlotSpace

Channel = tuple[Family, int]


@dataclass(frozen=True)
class Reach:
    """Where entries of a family went in the runs that tainted them.

    Attributes:
        source: the family.
        index: entries of it.
        family: what they reached.
        slots: for each entry of ``index`` a slot of that.
        place: mode and place of the observation, where those of other sources meet them.
    """

    source: Family
    index: Tensor
    family: Family
    slots: Tensor
    place: tuple[str, int]

    @property
    def link(self) -> Link:
        """Entries and slots as carriers of one channel."""
        return self.source, self.index, self.family, self.slots

    @property
    def of_several(self) -> bool:
        """Whether more than one entry reaches something."""
        return bool((self.index != self.index[:1]).any())

    def of(self, entry: int) -> Reach:
        """Return what one entry reaches."""
        return self._part(self.index == entry)

    def without(self, entries: Iterable[int]) -> Reach:
        """Return what the other entries reach."""
        gone = np.isin(self.index.numpy(), list(entries))
        return self._part(self.index.new_tensor(~gone).bool())

    def _part(self, mask: Tensor) -> Reach:
        return Reach(self.source, self.index[mask], self.family, self.slots[mask], self.place)


def settled(reaches: Sequence[Reach], ties: Sequence[Link], space: SlotSpace) -> tuple[list[Link], list[Channel]]:
    """Return what carries one channel, and the channels that meet several others at once.

    Such a channel, a gate of width one for instance, reaches every slot of an axis that has a slot for each of the
    channels of another source. It ties them together only where something else does too.
    """
    candidates = dict.fromkeys(_candidates(reaches))
    by_source: dict[Family, set[int]] = defaultdict(set)
    for source, entry in candidates:
        by_source[source].add(entry)
    plain = [reach.without(by_source[reach.source]) if reach.source in by_source else reach for reach in reaches]
    links = [*ties, *(reach.link for reach in plain)]
    if not candidates:
        return links, []
    root = space.components(links)
    gates = []
    for source, entry in candidates:
        own = [reach.of(entry) for reach in reaches if reach.source == source]
        met = [np.unique(root[space.slots(reach.family, reach.slots)]) for reach in own]
        if all(len(roots) < 2 for roots in met):
            links += [reach.link for reach in own]
        else:
            gates.append((source, entry))
    return links, gates


def _candidates(reaches: Sequence[Reach]) -> Iterator[Channel]:
    places: dict[tuple[str, int], list[Reach]] = defaultdict(list)
    for reach in reaches:
        places[reach.place].append(reach)
    for here in places.values():
        # Collected once for all: an axis may be reached from a thousand sources.
        several = [(reach, set(reach.slots.tolist())) for reach in here if len(here) > 1 and reach.of_several]
        for reach in here if several else ():
            yield from _covering(reach, [slots for other, slots in several if other is not reach])


def _covering(reach: Reach, rivals: Sequence[set[int]]) -> Iterator[Channel]:
    """Yield the entries that reach all slots of another source that has a channel for each of several of them."""
    smallest = min(map(len, rivals), default=0)
    if not smallest:
        return
    entries, counts = np.unique(reach.index.numpy(), return_counts=True)
    for entry in entries[(counts > 1) & (counts >= smallest)].tolist():
        own = set(reach.of(entry).slots.tolist())
        if any(rival <= own for rival in rivals):
            yield reach.source, entry
