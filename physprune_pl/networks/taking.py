"""Taking some indices of a dimension of a tensor, fast."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


def taken(tensor: Tensor, dim: int, index: Tensor, out: Tensor | None = None) -> Tensor:
    """Return what ``index_select`` does, several times faster for columns of a matrix.

    Args:
        tensor: any tensor.
        dim: the dimension.
        index: which of its indices, on the same device.
        out: where to write the result; None: a new tensor.

    >>> taken(torch.arange(6).view(2, 3), 1, torch.tensor([0, 2])).tolist()
    [[0, 2], [3, 5]]
    """
    if tensor.dim() == 2 and dim == 1 and tensor.is_contiguous():
        return torch.gather(tensor, 1, index.expand(len(tensor), -1), out=out)
    return torch.index_select(tensor, dim, index, out=out)


class Scratch:
    """Memory that is used again: fresh memory of a large tensor takes longer to get than it takes to fill.

    >>> scratch = Scratch()
    >>> scratch.tensor((2, 3), torch.zeros(1)).shape
    torch.Size([2, 3])
    """

    def __init__(self) -> None:
        self._memory: Tensor | None = None

    def tensor(self, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return a tensor in memory that the one before has been in; its values are anything."""
        count, dtype = prod(shape), dtype or like.dtype
        if self._memory is None or self._memory.numel() < count or self._memory.dtype is not dtype:
            self._memory = torch.empty(count, dtype=dtype, device=like.device)
        return self._memory[:count].view(shape)
