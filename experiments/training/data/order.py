"""The order of an epoch, drawn from (seed, epoch) alone and shared out over the processes that train together."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DistributedSampler


class BatchOrder(DistributedSampler[tuple[list[int], int]]):
    """Batches of indices, each with a seed for its augmentation, drawn from (seed, epoch) alone.

    Lightning calls ``set_epoch``, also after a resume, so an epoch repeats whatever ran before it. Where several
    processes train together each takes its share of the shuffled batches; what is not shuffled, the evaluation, every
    process reads whole, so that its figures are exact.

    Args:
        size: number of samples.
        batch_size: samples of a batch; the last one may have fewer.
        seed: start of all random numbers.
        shuffle: whether an epoch has an order of its own and is shared out.
    """

    # Lightning would share out any other sampler a second time; nothing but the type is taken from the base class,
    # whose constructor asks for a dataset and a running process group.
    def __init__(self, size: int, batch_size: int, seed: int, shuffle: bool) -> None:
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.epoch = 0

    def __len__(self) -> int:
        whole, processes = -(-self.size // self.batch_size), self._share()[1]
        if whole < processes:
            raise ValueError(f"batch_size: {self.size} samples make {whole} batches, too few for {processes} processes")
        return whole // processes

    def __iter__(self) -> Iterator[tuple[list[int], int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator) if self.shuffle else torch.arange(self.size)
        rank, processes = self._share()
        for place, indices in enumerate(torch.split(order, self.batch_size)):
            seed = int(torch.randint(2**62, (), generator=generator))
            # Every process has as many batches: a remainder would leave the others waiting for it.
            if place % processes == rank and place // processes < len(self):
                yield indices.tolist(), seed

    def _share(self) -> tuple[int, int]:
        distributed = torch.distributed
        if not self.shuffle or not distributed.is_available() or not distributed.is_initialized():
            return 0, 1
        return distributed.get_rank(), distributed.get_world_size()
