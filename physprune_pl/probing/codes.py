"""How the index of a channel is written in bits and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Codes = list[tuple[Tensor, Tensor]]
"""For every observation: the index that reached each slot, and whether it is certain."""


Slots = Mapping[int, Tensor]
"""Place of an observation -> some of its slots."""


def bits_of(size: int) -> list[Tensor]:
    """Return for every bit of an index two masks of [size]: where it is 1 and where it is 0.

    >>> [mask.int().tolist() for mask in bits_of(3)]
    [[0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    index = torch.arange(size)
    width = max(1, (size - 1).bit_length())
    return [((index >> bit) & 1) == value for bit in range(width) for value in (1, 0)]


def decode(patterns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the index that reached every slot and whether it is certain, from the patterns of :func:`bits_of`."""
    ones, zeros = torch.stack(list(patterns[0::2])), torch.stack(list(patterns[1::2]))
    weights = 2 ** torch.arange(len(ones))
    return (ones.long() * weights[:, None]).sum(0), (ones ^ zeros).all(0)


def sure(code: tuple[Tensor, Tensor], size: int) -> Tensor:
    """Return which slots were reached by one index of a family of this size, and no other."""
    index, certain = code
    return certain & (index < size)
