"""Copies of weights that optimizers keep in their states, and that are pressed along with the weights.

Schedule-free optimizers evaluate an average of what they train, Lookahead returns to slow weights, low precision is
trained by copies of full precision: what is taken from the weights alone comes back from there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from physprune_pl.pressing.arrangement import Arranged
from physprune_pl.pressing.owners import owned_tensors, segments_of
from physprune_pl.strengths import Strength
from physprune_pl.structure import ChannelGroup
from physprune_pl.surgery.optimizer_states import with_inner
from physprune_pl.surgery.state_layouts import tensors_in

CLOSE = 0.5
"""Most distance from the weights, relative to their norm, of what is taken for a copy of them when it is first seen."""

_Kept = tuple[str, str, Tensor, Tensor]
"""Where something is kept, name of a parameter, the parameter, and what is kept of it."""


class WeightCopies:
    """Tells copies of weights in states from moments by their values, when they first appear, and scales them.

    Args:
        groups: G groups with N channels in all.
        tensors: parameters by the names that the slices use.
        strength: the norm, and which slices count.
        seen: what is known already, and is added to: where states have tensors of the shape of their parameter ->
            whether these were close to it.

    >>> from physprune_pl.strengths import L2
    >>> weight = nn.Parameter(torch.ones(3))
    >>> optimizer = torch.optim.SGD([weight], lr=0.1)
    >>> optimizer.state[weight] = {"slow": torch.full((3,), 0.9), "moment": torch.full((3,), 0.1)}
    >>> seen = {}
    >>> WeightCopies([], {"weight": weight}, L2(), seen).look(optimizer)
    >>> seen
    {'SGD.slow': True, 'SGD.moment': False}
    """

    def __init__(
        self,
        groups: Sequence[ChannelGroup],
        tensors: Mapping[str, Tensor],
        strength: Strength,
        seen: dict[str, bool],
    ) -> None:
        self._groups, self._strength, self._seen = groups, strength, seen
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._known: dict[tuple[str, ...], tuple[list[int], Arranged]] = {}

    @torch.no_grad()
    def look(self, optimizer: Optimizer) -> None:
        """Judge what an optimizer has begun to keep since the last time."""
        found = defaultdict[str, list[tuple[Tensor, Tensor]]](list)
        for where, _, parameter, value in self._kept(optimizer):
            if where not in self._seen:
                found[where].append((parameter, value))
        self._seen.update({where: _close(pairs) for where, pairs in found.items()})

    @torch.no_grad()
    def shrink(self, keep: Tensor, optimizer: Optimizer, only: Collection[int]) -> None:
        """Scale the copies as :meth:`~physprune_pl.pressing.penalty.Penalty.shrink` scales the weights.

        Args:
            keep: share of the strength that stays, shape [N].
            optimizer: whose states to look into.
            only: ids of the parameters whose copies are meant.
        """
        if not any(self._seen.values()):
            return
        copies = defaultdict[str, dict[str, Tensor]](dict)
        for where, name, parameter, value in self._kept(optimizer):
            if self._seen.get(where) and id(parameter) in only:
                copies[where][name] = value
        for where, tensors in copies.items():
            self._arranged(where, tensors).scale(keep ** (1.0 / self._strength.degree))

    def _arranged(self, where: str, copies: Mapping[str, Tensor]) -> Arranged:
        """The arrangement of some copies: most states are changed in place, so that it is made once."""
        key, ids = (where, *copies), [id(one) for one in copies.values()]
        if key not in self._known or self._known[key][0] != ids:
            segments = segments_of(self._groups)
            owned = owned_tensors(self._groups, segments, copies, self._strength.counts)
            size = segments[-1].stop if segments else 0
            self._known[key] = ids, Arranged(owned, size, self._strength.power, trainable=False)
        return self._known[key][1]

    def _kept(self, optimizer: Optimizer) -> Iterator[_Kept]:
        met = set(self._names)
        for one in with_inner(optimizer):
            for parameter, state in one.state.items():
                name = self._names.get(id(parameter))
                for path, value in tensors_in(state) if name is not None else ():
                    # A wrapper may share the state of what it wraps.
                    if id(value) not in met and _alike(value, parameter):
                        met.add(id(value))
                        yield ".".join([type(one).__name__, *map(str, path)]), str(name), parameter, value


def _alike(value: Tensor, parameter: Tensor) -> bool:
    plain = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided
    return plain and value.is_floating_point() and value.shape == parameter.shape


def _close(pairs: Sequence[tuple[Tensor, Tensor]]) -> bool:
    apart = sum(float((value.to(parameter) - parameter).double().square().sum()) for parameter, value in pairs)
    size = sum(float(parameter.double().square().sum()) for parameter, _ in pairs)
    return size > 0 and apart <= CLOSE**2 * size
