"""Numbers of heads that follow the first matrix which their module runs, where that is not the first that it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from physprune_pl.attention.head_sizes import COUNTS, is_known, matrices
from physprune_pl.structure import ChannelGroup, RememberedSize


def heads_by_call(
    model: nn.Module, called: Sequence[str], groups: Sequence[ChannelGroup], found: Sequence[RememberedSize]
) -> Iterator[RememberedSize]:
    """Yield what becomes of numbers of heads that their name alone would let follow the wrong matrix.

    Args:
        model: the traced network.
        called: weights in the order of their calls.
        groups: candidates.
        found: what is known already, by where it is used.
    """
    names = {id(tensor): name for name, tensor in model.named_parameters()}
    places = {name: place for place, name in reversed(list(enumerate(called)))}
    known = {size.name for size in found}
    for path, module in model.named_modules():
        weights = [] if is_known(module) else [names[id(weight)] for weight in matrices(module) if id(weight) in names]
        run = [weight for weight in weights if weight in places]
        if not run or (first := min(run, key=places.__getitem__)) == weights[0]:
            continue
        for attribute, value in vars(module).items():
            name = f"{path}.{attribute}" if path else attribute
            if attribute in COUNTS and type(value) is int and name not in known:
                yield RememberedSize(name, value, _shared_out(value, first, groups))


def _shared_out(value: int, weight: str, groups: Sequence[ChannelGroup]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """Return the channels that each of the things counted consists of; none where they are no whole part of a group."""
    for group in groups:
        rows = any(part.name == weight and part.dim == 0 for part in group.slices)
        if rows and value % group.size == 0:
            return tuple(((group.name, thing * group.size // value),) for thing in range(value))
    return ()
