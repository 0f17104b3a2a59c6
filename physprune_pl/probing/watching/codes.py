"""How the number of a channel is written in the runs that taint it, and read again.

The first two runs tell whether a number is odd or even. The rest of it is written in words of which every one taints
in as many runs: where two channels meet, more runs are seen than that, and no channel is told for another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

import torch
from torch import Tensor

Codes = list[tuple[Tensor, Tensor]]
"""For every observation: the index that reached each slot, and whether it is certain."""


Slots = Mapping[int, Tensor]
"""Place of an observation -> some of its slots."""


def word_length(size: int) -> int:
    """Return in how many runs the numbers below a size are written, the first two included.

    >>> [word_length(size) for size in (1, 2, 3, 64, 768)]
    [2, 2, 4, 9, 13]
    """
    return 2 + _length(-(-size // 2))


def masks_of(numbers: Tensor, length: int) -> list[Tensor]:
    """Return for every run which entries are tainted in it, given the number of each entry.

    Args:
        numbers: [entries], each below what the length is for.
        length: number of runs.

    >>> [mask.int().tolist() for mask in masks_of(torch.arange(3), 4)]
    [[0, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 1]]
    """
    odd = numbers % 2 == 1
    words = _words(length - 2)[numbers // 2]
    return [odd, ~odd, *((words >> run) & 1 == 1 for run in range(length - 2))]


def decode(patterns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the number that reached every slot and whether it is certain, from patterns as :func:`masks_of` makes.

    Where it is not, slots that the same channels reach have the same number.
    """
    odd, even, *rest = patterns
    words = _words(len(rest))
    seen = torch.stack([pattern.long() << run for run, pattern in enumerate(rest)]).sum(0) if rest else odd.long() * 0
    place = torch.searchsorted(words, seen).clamp(max=len(words) - 1)
    certain = (words[place] == seen) & (odd ^ even)
    return torch.where(certain, place, seen + len(words)) * 2 + odd.long(), certain


def sure(code: tuple[Tensor, Tensor], size: int) -> Tensor:
    """Return which slots were reached by one index of a family of this size, and no other."""
    index, certain = code
    return certain & (index < size)


def _length(count: int) -> int:
    """Return how long words must be for so many of them to have half of their bits set."""
    length = 0
    while comb(length, length // 2) < count:
        length += 1
    return length


@lru_cache(64)
def _words(length: int) -> Tensor:
    """Return all words of a length with half of their bits set, the smallest first."""
    return torch.tensor(sorted(sum(1 << bit for bit in bits) for bits in combinations(range(length), length // 2)))
