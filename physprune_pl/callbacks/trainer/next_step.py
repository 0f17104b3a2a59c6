"""A look at the batch that a training step will get, which it gets all the same."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from physprune_pl.networks.nested import mapped, tensors_in

Step = tuple[Any, ...]
"""A batch, its number, and the arguments with which ``training_step`` is called for it."""


def step_of(trainer: Any, batch: Any, batch_idx: int) -> Step:
    """Return the step that the trainer is about to run, at the start of a batch."""
    fetcher = trainer.fit_loop._data_fetcher
    if hasattr(fetcher, "iterator_wrapper"):  # the step itself asks for its batch
        drawn = _peek(fetcher.iterator_wrapper)
        return (*drawn[:2], Drawn(drawn))
    arguments = trainer.fit_loop.epoch_loop._build_kwargs(OrderedDict(), batch, batch_idx)
    return (batch, batch_idx, *arguments.values())


@dataclass
class Drawn:
    """An iterator over one batch, with its number and that of its loader, which copies give anew."""

    item: tuple[Any, int, int]

    def __iter__(self) -> Drawn:
        return self

    def __next__(self) -> tuple[Any, int, int]:
        if not self.item:
            raise StopIteration
        item, self.item = self.item, ()  # type: ignore[assignment]
        return item


def _peek(iterator: Any) -> tuple[Any, int, int]:
    """Return what an iterator of Lightning's gives next, and leave it there."""
    if not hasattr(iterator, "peeked"):
        item = next(iterator)
        kind = type(iterator)
        iterator.__class__ = type(kind.__name__, (kind,), {"__next__": _given_back})
        iterator.peeked, iterator.kind = item, kind
    peeked: tuple[Any, int, int] = iterator.peeked
    return peeked


def _given_back(iterator: Any) -> tuple[Any, int, int]:
    """Give what was peeked at, and be an ordinary iterator again."""
    item: tuple[Any, int, int] = iterator.peeked
    iterator.__class__ = iterator.kind
    del iterator.peeked, iterator.kind
    return item


def agreed(trainer: Any, step: Step) -> Step:
    """Return the step of the first of several processes: all must find the same groups."""
    if trainer.world_size == 1:
        return step
    device = trainer.strategy.root_device
    moved = [tensor.device == device for tensor in tensors_in(step)]
    ours, moved = trainer.strategy.broadcast((mapped(step, Tensor.cpu), moved))
    back = {id(tensor): move for tensor, move in zip(tensors_in(ours), moved, strict=True)}
    return mapped(ours, lambda tensor: tensor.to(device) if back[id(tensor)] else tensor)
