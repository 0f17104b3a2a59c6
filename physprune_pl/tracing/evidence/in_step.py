"""Axes of which code holds the sizes equal, or in a fixed proportion: their channels go together, share by share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from physprune_pl.probing.sizes.sizes import SizeUse
from physprune_pl.tracing.evidence.components import Indices, SlotSpace
from physprune_pl.tracing.evidence.evidence import Evidence

Channels = Sequence[int]
"""Root of every slot of an axis."""


def in_step(evidence: Evidence, space: SlotSpace, root: Indices) -> Indices:
    """Return for every slot what carries its channel, once axes that must shrink in step do.

    Where a tensor is reshaped to the width of another one, a share of the channels of the one can only go together with
    the same share of the other: the first quarter with the first, say, where the other one has four heads. Likewise the
    things that are counted by one number of a module in several places.

    Args:
        evidence: which sizes are asked of which axes.
        space: numbers the slots.
        root: for every slot the smallest slot that carries its channel.
    """
    joined = _Joined(root)
    made = set().union(*(root[space.slots(family)].tolist() for family in evidence.sources))
    pairs = [
        (root[space.slots(use.axis)].tolist(), root[space.slots(use.family, use.slots)].tolist())
        for use in evidence.widths
        if use.axis in space.offsets and use.family in space.offsets
    ]
    pairs = [pair for pair in pairs if made.issuperset(pair[0]) and made.issuperset(pair[1])]
    counted = list(_counted(evidence, space, root, made))
    while joined.changed:
        joined.changed = False
        for one, other in pairs:
            joined.proportionally(one, other)
        for things, others in counted:
            joined.thing_by_thing(things, others)
    return joined.roots()


class _Joined:
    """Roots that have been found to be one.

    Attributes:
        changed: whether any have been since this was last set.
    """

    def __init__(self, root: Indices) -> None:
        self._root, self._parent, self.changed = root, dict[int, int](), True

    def find(self, one: int) -> int:
        while one in self._parent:
            one = self._parent[one]
        return one

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        if low != high:
            self._parent[high], self.changed = low, True

    def roots(self) -> Indices:
        """Return the smallest slot of every slot."""
        if not self._parent:
            return self._root
        found, place = np.unique(self._root, return_inverse=True)
        return np.array([self.find(one) for one in found.tolist()], dtype=np.int64)[place]

    def proportionally(self, one: Channels, other: Channels) -> None:
        """Join channels of two axes where they do not shrink in step by themselves.

        Channels that both have need no partner; of the others those at the same share of the axes are joined.
        """
        left, right = (Counter(map(self.find, axis)) for axis in (one, other))
        both = {root: min(left[root] * len(other), right[root] * len(one)) for root in left.keys() & right.keys()}
        ends = [
            list(_ends({root: count * scale - both.get(root, 0) for root, count in counts.items()}))
            for counts, scale in ((left, len(other)), (right, len(one)))
        ]
        place = 0
        for root, start, end in ends[0]:
            while place < len(ends[1]) and ends[1][place][1] < end:
                if ends[1][place][2] > start:
                    self.join(root, ends[1][place][0])
                if ends[1][place][2] > end:
                    break
                place += 1

    def thing_by_thing(self, one: Sequence[Channels], other: Sequence[Channels]) -> None:
        """Join the channels of things of the same number, unless the same channels make them up in both places."""
        left, right = ([{self.find(root) for root in thing} for thing in things] for things in (one, other))
        if sorted(map(sorted, left)) == sorted(map(sorted, right)) or not (_apart(left) and _apart(right)):
            return
        for mine, others in zip(left, right, strict=True):
            first = min(mine)
            for root in mine | others:
                self.join(first, root)


def _ends(counts: dict[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield every root with a count, and where its part of a line begins and ends."""
    start = 0
    for root, count in counts.items():
        if count:
            yield root, start, start + count
        start += count


def _apart(things: Sequence[set[int]]) -> bool:
    return sum(map(len, things)) == len(set().union(*things))


def _counted(
    evidence: Evidence, space: SlotSpace, root: Indices, made: set[int]
) -> Iterator[tuple[list[Channels], list[Channels]]]:
    """Yield the things that one attribute counts in two places, where all of them are made of channels."""
    places: dict[str, dict[str, list[Channels]]] = {}
    for use in evidence.remembered:
        if use.family in space.offsets:
            things = _things(use, root[space.slots(use.family)].tolist())
            if all(things) and all(made.issuperset(thing) for thing in things):
                places.setdefault(use.name, {})[str(things)] = things
    for found in places.values():
        yield from ((one, other) for one, other in combinations(found.values(), 2) if len(one) == len(other))


def _things(use: SizeUse, channels: Channels) -> list[Channels]:
    things: list[list[int]] = [[] for _ in range(use.value)]
    for channel, unit in zip(channels, use.unit.tolist(), strict=True):
        if unit >= 0:
            things[unit].append(channel)
    return [sorted(set(thing)) for thing in things]
