"""Numbers slots and finds which of them are connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from physprune_pl.probing.watching.observations import Family

Indices = npt.NDArray[np.int64]
Link = tuple[Family, Tensor, Family, Tensor]


def connected(size: int, one: Indices, other: Indices) -> Indices:
    """Return for every node the smallest node it is connected with, directly or not.

    >>> connected(5, np.array([0, 3]), np.array([1, 4])).tolist()
    [0, 0, 2, 3, 3]
    """
    label = np.arange(size, dtype=np.int64)
    while True:
        lowest = np.minimum(label[one], label[other])
        before = label.copy()
        # Roots are lowered too, so that a whole component follows at once.
        for ends in (one, other):
            np.minimum.at(label, before[ends], lowest)
            np.minimum.at(label, ends, lowest)
        label = label[label]
        if np.array_equal(label, before):
            return label


@dataclass
class SlotSpace:
    """Numbers all slots of all families consecutively."""

    offsets: dict[Family, int]
    ends: dict[Family, int]
    size: int

    @classmethod
    def of(cls, sizes: Mapping[Family, int]) -> SlotSpace:
        """Lay out families one after the other."""
        offsets, ends, size = {}, {}, 0
        for family, length in sizes.items():
            offsets[family] = size
            size += length
            ends[family] = size
        return cls(offsets, ends, size)

    def slots(self, family: Family, index: Tensor | None = None) -> Indices:
        """Return the numbers of a family's slots, all of them without an index."""
        offset = self.offsets[family]
        end = self.ends[family]
        return np.arange(offset, end, dtype=np.int64) if index is None else offset + index.numpy().astype(np.int64)

    def components(self, links: Sequence[Link]) -> Indices:
        """Return for every slot the smallest slot that it is linked with."""
        empty = [np.zeros(0, dtype=np.int64)]
        one = np.concatenate([self.slots(link[0], link[1]) for link in links] or empty)
        other = np.concatenate([self.slots(link[2], link[3]) for link in links] or empty)
        return connected(self.size, one, other)
