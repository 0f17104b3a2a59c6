"""Sums over groups in vectors over all channels, without a loop over groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Segments:
    """G groups in the vectors over their N channels.

    Args:
        places: place of each group, one after the other without gaps.

    >>> halves = Segments([slice(0, 2), slice(2, 3)])
    >>> halves.sums(torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 3.])
    >>> halves.spread(torch.tensor([0.5, 0.0]))
    tensor([0.5000, 0.5000, 0.0000])
    """

    def __init__(self, places: Sequence[slice]) -> None:
        self.count = len(places)
        sizes = torch.tensor([place.stop - place.start for place in places], dtype=torch.long)
        self._group = torch.repeat_interleave(torch.arange(self.count), sizes)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum over every group, [N] -> [G]."""
        return values.new_zeros(self.count).index_add_(0, self._on(values), values)

    def spread(self, values: Tensor) -> Tensor:
        """Return for every channel the value of its group, [G] -> [N]."""
        return values[self._on(values)]

    def _on(self, like: Tensor) -> Tensor:
        # Kept where it was needed last: steering alternates between devices only when it decides.
        if self._group.device != like.device:
            self._group = self._group.to(like.device)
        return self._group
