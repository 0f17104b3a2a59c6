"""Finds the few channels of a layer that reach what its other channels reach each by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from physprune_pl.probing.runner import Run

MOST = 4
"""More channels that reach everything are no gates beside other channels: everything is mixed with everything."""


def find_mixers(run: Callable[[Tensor], Run | None], unclear: Mapping[int, Tensor], size: int) -> Tensor | None:
    """Return a mask of the channels that reach all unclear slots of some observation; None if there are too many.

    Eighths of the channels are tried first, and sets are halved as long as they reach that much: where everything is
    mixed, halves and quarters would tell nothing.

    Args:
        run: runs the model with the masked channels tainted, None if it takes another way then.
        unclear: place of an observation -> slots that several channels reach.
        size: number of channels.
    """
    found = torch.zeros(size, dtype=torch.bool)
    waiting = list(torch.arange(size).tensor_split(4))
    while waiting:
        halves = [half for part in waiting for half in part.tensor_split(2)]
        waiting = []
        for half in halves:
            covers = _covers(run, half, unclear, size)
            if covers is None or len(waiting) + int(found.sum()) > MOST:
                return None
            if covers and len(half) == 1:
                found[half] = True
            elif covers:
                waiting.append(half)
    return found if bool(found.any()) else None


def _covers(
    run: Callable[[Tensor], Run | None], channels: Tensor, unclear: Mapping[int, Tensor], size: int
) -> bool | None:
    if not len(channels):
        return False
    mask = torch.zeros(size, dtype=torch.bool)
    mask[channels] = True
    done = run(mask)
    if done is None:
        return None
    return any(bool(done.seen[place].pattern[slots].all()) for place, slots in unclear.items())
