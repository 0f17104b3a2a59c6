"""Zeros in the place of removed channels, in a network that is compared with a cut one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tracing.checking.kept_norms import Removed
from physprune_pl.tracing.checking.large_weights import LargeWeights


@dataclass(frozen=True)
class Masks:
    """Channels that are removed from a network.

    Attributes:
        groups: the groups.
        removed: name of a group -> mask of its channels.
        plan: what that leaves of every tensor.
    """

    groups: Sequence[ChannelGroup]
    removed: Mapping[str, Tensor]
    plan: PruningPlan

    def kept(self, tensors: Mapping[str, Tensor]) -> dict[tuple[int, int], tuple[int, ...]]:
        """Return what stays of every dimension that shrinks: ``id`` of a tensor and dimension -> indices."""
        own = {plain(name): id(tensor) for name, tensor in tensors.items()}
        return {(own[name], dim): kept for name, cut in self.plan.tensors.items() for dim, kept in cut.keep.items()}

    @contextmanager
    def zeroed(
        self, tensors: Mapping[str, Tensor], producing: Collection[str], large: LargeWeights
    ) -> Iterator[Removed]:
        """Zero the slices of removed channels inside, of the named groups only the producing ones.

        Large weights are masked where they are used.

        Yields:
            What norms over channels must leave out, unless zeros alone should do.
        """
        norms, before = Removed(), dict[int, tuple[Tensor, Tensor]]()
        try:
            for group in self.groups:
                own = group.producing if group.name in producing else group.slices
                for part in (part for part in own if part.role != "buffer"):
                    index = part.positions(self.removed[group.name])
                    if not large.mask(tensors[part.name], part.dim, index):
                        _zero(tensors[part.name], part.dim, index, before)
                if group.name not in producing:
                    norms.leave_out(group, self.removed[group.name], tensors)
            yield norms
        finally:
            for tensor, data in before.values():
                tensor.data = data


def _zero(tensor: Tensor, dim: int, index: Tensor, before: dict[int, tuple[Tensor, Tensor]]) -> None:
    """Zero indices of a dimension in a copy of the data of a tensor; the data of before are noted."""
    if id(tensor) not in before:
        before[id(tensor)] = tensor, tensor.data
        tensor.data = tensor.data.clone()
    tensor.data.index_fill_(dim, index.to(tensor.device), 0.0)
