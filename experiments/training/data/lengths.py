"""Batches of samples of similar length, so that little of a batch is padding.

Shape legend: N samples of a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import torch
from torch import Tensor

from experiments.training.data.order import BatchOrder

POOL = 32


class LengthOrder(BatchOrder):
    """A shuffled epoch whose batches are sorted by length within pools of 32, then shuffled again within the pool.

    As in a :class:`~experiments.training.data.order.BatchOrder` everything is drawn from (seed, epoch) alone, every
    sample comes once, and processes that train together have as many batches each.

    Args:
        lengths: of every sample, integers [N].
        batch_size: samples of a batch; one batch of an epoch may have fewer.
        seed: start of all random numbers.
    """

    def __init__(self, lengths: Tensor, batch_size: int, seed: int) -> None:
        super().__init__(len(lengths), batch_size, seed, shuffle=True)
        self.lengths = lengths

    def __iter__(self) -> Iterator[tuple[list[int], int]]:
        batches = super().__iter__()
        while pool := list(islice(batches, POOL)):
            yield from self._sorted(pool)

    def _sorted(self, pool: list[tuple[list[int], int]]) -> Iterator[tuple[list[int], int]]:
        """Deal the samples of a pool out again, the short ones together."""
        seeds = [seed for _, seed in pool]
        samples = torch.tensor(list(chain.from_iterable(indices for indices, _ in pool)))
        batches = torch.split(samples[self.lengths[samples].argsort(stable=True)], self.batch_size)
        order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seeds[0]))
        for place, seed in zip(order.tolist(), seeds, strict=True):
            yield batches[place].tolist(), seed
