"""Weights that are rows of a larger parameter, such as the query part of one weight for queries, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.probing.operations.transposes import transposed_parameter


@dataclass(frozen=True)
class RowBlock:
    """What a call uses as its weight or bias: some rows of a parameter one after the other, or all of them.

    The transpose of a parameter is all rows of it.

    Attributes:
        owner: the parameter, or the tensor itself if it is no part of one.
        first: the row of the owner that the block starts with.
        rows: number of rows.
    """

    owner: Any
    first: int
    rows: int

    @classmethod
    def of(cls, value: Any) -> RowBlock:
        """Find out what a tensor is a part of.

        >>> weight = nn.Parameter(torch.zeros(6, 4))
        >>> block = RowBlock.of(weight[2:5])
        >>> block.owner is weight, block.first, block.rows, block.whole
        (True, 2, 3, False)
        """
        size = value.shape[0] if isinstance(value, Tensor) and value.dim() else 0
        base = value._base if isinstance(value, Tensor) else None
        turned = transposed_parameter(value)
        if turned is not None:
            return cls(turned, 0, turned.shape[0])
        if not isinstance(base, nn.Parameter) or not base.is_contiguous() or not _alike(value, base):
            return cls(value, 0, size)
        return cls(base, (value.storage_offset() - base.storage_offset()) // base.stride(0), size)

    @property
    def whole(self) -> bool:
        """Whether these are all rows of the owner."""
        return not isinstance(self.owner, Tensor) or not self.owner.dim() or self.rows == self.owner.shape[0]

    @property
    def index(self) -> Tensor:
        """Numbers of the rows in the owner."""
        return torch.arange(self.first, self.first + self.rows)

    def part_of(self, mask: Tensor) -> Tensor:
        """Return what of a mask [rows of the owner] falls on the block; any mask if the block is the whole owner."""
        return mask if self.whole else mask[self.first : self.first + self.rows]


def _alike(value: Tensor, base: Tensor) -> bool:
    """Whether a view has whole rows of its base, in their order."""
    return value.shape[1:] == base.shape[1:] and value.stride() == base.stride()
