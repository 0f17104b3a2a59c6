"""A network made ready to be watched: composite modules take ways that a probe can follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from physprune_pl.attention.head_sizes import by_head
from physprune_pl.probing.operations.quantisers import plain_quantisers
from physprune_pl.probing.preparing.caches import without_cache
from physprune_pl.probing.preparing.plain_norms import plain_norms


@contextmanager
def traceable(model: nn.Module) -> Iterator[None]:
    """Let a model run in the way in which its channels can be followed, and as it was again on leaving."""
    with by_head(model), plain_norms(model), plain_quantisers(model), without_cache(model):
        yield
