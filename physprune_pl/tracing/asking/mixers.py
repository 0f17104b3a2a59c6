"""Finds the few channels of a layer that reach what its other channels reach each by itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import torch
from torch import Tensor

from physprune_pl.probing.runner import Masks, Run
from physprune_pl.probing.watching.observations import Family

MOST = 4
"""More channels that reach everything are no gates beside other channels: everything is mixed with everything."""

Search = Generator[Tensor, Run | None, Tensor | None]
"""Yields masks of channels to be tainted, is sent the run with these, and returns the channels that were looked for."""


def find_mixers(
    run: Callable[[Masks], Run | None], unclear: Mapping[Family, Mapping[int, Tensor]], sizes: Mapping[Family, int]
) -> dict[Family, Tensor | None]:
    """Return for every layer which channels reach all unclear slots of some observation; None if not a few do.

    Eighths of the channels are tried first, and sets are halved as long as they reach that much: where everything is
    mixed, halves and quarters would tell nothing. The layers reach nothing together: one run asks all of them.

    Args:
        run: runs the model with the masked channels tainted, None if it takes another way then.
        unclear: for every layer, place of an observation -> slots that several of its channels reach.
        sizes: number of channels of every layer.
    """
    searches = {family: _search(slots, sizes[family]) for family, slots in unclear.items()}
    found: dict[Family, Tensor | None] = {}
    asked = {family: next(search) for family, search in searches.items()}
    while asked:
        done = _answered(run, asked)
        for family in list(asked):
            try:
                asked[family] = searches[family].send(done[family])
            except StopIteration as end:
                found[family] = end.value
                del asked[family]
    return found


def _answered(run: Callable[[Masks], Run | None], asked: Masks) -> dict[Family, Run | None]:
    """Return the run that tells about each layer: one for all of them, if the model stands that."""
    together = run(dict(asked))
    if together is None and len(asked) > 1:
        return {family: run({family: mask}) for family, mask in asked.items()}
    return dict.fromkeys(asked, together)


def _search(unclear: Mapping[int, Tensor], size: int) -> Search:
    found = torch.zeros(size, dtype=torch.bool)
    waiting = list(torch.arange(size).tensor_split(4))
    while waiting:
        halves = [half for part in waiting for half in part.tensor_split(2) if len(half)]
        waiting = []
        for half in halves:
            done = yield torch.zeros(size, dtype=torch.bool).index_fill(0, half, True)
            covers = done is not None and any(
                bool(done.seen[place].pattern[slots].all()) for place, slots in unclear.items()
            )
            if done is None or len(waiting) + int(found.sum()) > MOST:
                return None
            if covers and len(half) == 1:
                found[half] = True
            elif covers:
                waiting.append(half)
    return found if bool(found.any()) and not bool(found.all()) else None
