"""Turns the evidence of probing into groups: slots that carry one channel are one channel of one group."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physprune_pl.probing.heads import Product
from physprune_pl.probing.observations import OUTPUT, Family
from physprune_pl.probing.sizes import SizeUse
from physprune_pl.structure import (
    NORM_CHANNELS,
    ChannelGroup,
    LeftWhole,
    MixingCall,
    NormSlice,
    RememberedSize,
    Role,
    Slice,
)
from physprune_pl.tracing.components import Indices, connected
from physprune_pl.tracing.evidence import Evidence
from physprune_pl.tracing.gates import Channel
from physprune_pl.tracing.in_step import in_step


@dataclass(frozen=True)
class Coupled:
    """What evidence comes to.

    Attributes:
        groups: the candidate groups in call order.
        left_whole: what stays whole and why.
        products: the products that shrink with heads.
        sizes: what modules remember of sizes that can change.
    """

    groups: list[ChannelGroup]
    left_whole: list[LeftWhole]
    products: list[MixingCall]
    sizes: list[RememberedSize]


_UNREAD = "nothing was seen to read its channels"


def find_groups(evidence: Evidence, parameters: frozenset[str], buffers: frozenset[str]) -> Coupled:
    """Turn evidence into groups; the names are those of the model's parameters and buffers."""
    return _Coupling(evidence, parameters, buffers).result()


class _Coupling:
    def __init__(self, evidence: Evidence, parameters: frozenset[str], buffers: frozenset[str]) -> None:
        self.evidence, self.known, self.buffers = evidence, parameters | buffers, buffers
        self.space, root, gates = evidence.components()
        self.root = in_step(evidence, self.space, root)
        self.reasons = self._reasons(gates)
        self.inexact = {
            int(root) for family in evidence.inexact & evidence.sizes.keys() for root in self._roots(family)
        }
        self.reading = {int(r) for family in evidence.readers for r in self._roots(family)}
        self.producing = {int(r) for family in evidence.sources for r in self._roots(family)}
        self.members = self._members()
        # The outputs of a grouped transposed convolution are no dimension of its weight: its rows stand for them.
        self.makers = {(name, 0) if dim == OUTPUT else (name, dim): None for name, dim in evidence.sources}

    def _roots(self, family: Family) -> Indices:
        return self.root[self.space.slots(family)]

    def _reasons(self, gates: Sequence[Channel]) -> dict[int, str]:
        reasons: dict[int, str] = {}
        for family, entry in gates:
            root = self._roots(family)[entry]
            reasons[int(root)] = "a channel that meets all channels of another layer at once, as a gate does"
        for family, index, reason in self.evidence.blocked:
            for root in self.root[self.space.slots(family, index)]:
                reasons.setdefault(int(root), reason)
        return reasons

    def _members(self) -> dict[int, dict[Family, list[int]]]:
        """Root of every removable channel -> the slots it consists of."""
        wanted = (self.reading & self.producing) - set(self.reasons)
        members: dict[int, dict[Family, list[int]]] = {}
        for family in self.space.offsets:
            if family[1] < 0 or family[0] not in self.known:
                continue
            for index, root in enumerate(self._roots(family).tolist()):
                if root in wanted:
                    members.setdefault(root, {}).setdefault(family, []).append(index)
        return {root: slots for root, slots in members.items() if not self._would_empty(root, slots)}

    def _would_empty(self, root: int, slots: Mapping[Family, list[int]]) -> bool:
        """Keep a channel that is all there is of some dimension."""
        emptied = [family for family, indices in slots.items() if len(indices) == self.evidence.sizes[family]]
        if emptied:
            self.reasons[root] = f"{_module_of(emptied[0][0])} would be left without channels{self._heads_of(root)}"
        return bool(emptied)

    def _heads_of(self, root: int) -> str:
        """Say which heads a channel is all of; nothing of a channel that is no whole number of them."""
        for product in self.evidence.products:
            if set(self._roots(product.units).tolist()) == {root}:
                line = self.evidence.lines.get(product.units)
                heads = "the only head" if self.evidence.sizes[product.units] == 1 else "all heads at once"
                return f": all of them go with {heads}{f' at {line}' if line else ''}"
        return ""

    def result(self) -> Coupled:
        clusters = [roots for roots in self._clusters() if self._plural(roots)]
        groups = _unique([self._group(roots) for roots in clusters])
        calls = [call for call in map(self._call, self.evidence.products) if call is not None]
        owners = {
            root: (group.name, channel)
            for group, roots in zip(groups, clusters, strict=True)
            for channel, root in enumerate(roots)
        }
        return Coupled(groups, self._left_whole(), calls, self._sizes(owners))

    def _sizes(self, owners: Mapping[int, tuple[str, int]]) -> list[RememberedSize]:
        """Return what modules remember, once for every place where it is used and something of it can go."""
        found = (RememberedSize(use.name, use.value, self._slots(use, owners)) for use in self.evidence.remembered)
        return list(dict.fromkeys(size for size in found if size.slots))

    def _slots(self, use: SizeUse, owners: Mapping[int, tuple[str, int]]) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Return the channels of each of the things that an attribute counts, of those that can go."""
        parts: list[set[int]] = [set() for _ in range(use.value)]
        for root, unit in zip(self._roots(use.family).tolist(), use.unit.tolist(), strict=True):
            if unit >= 0:
                parts[unit].add(root)
        return tuple(
            tuple(sorted(owners[root] for root in roots)) for roots in parts if roots and roots <= owners.keys()
        )

    def _call(self, product: Product) -> MixingCall | None:
        """Return what a product costs as a multiple of a dimension that is shared out evenly among its units."""
        roots = Counter(self._roots(product.units).tolist())
        if not all(root in self.members for root in roots) or len(set(roots.values())) > 1:
            return None
        owners = [self.members[root] for root in roots]
        for name, dim in owners[0]:
            size = self.evidence.sizes[name, dim]
            shares = {len(families.get((name, dim), ())) for families in owners}
            if shares == {size // len(roots)} and size % len(roots) == 0 and product.macs % size == 0:
                return MixingCall(name, product.macs // size, dims=(dim,))
        return None

    def _plural(self, roots: list[int]) -> bool:
        if len(roots) < 2:
            self.reasons.update(dict.fromkeys(roots, "its channels are tied into one"))
        return len(roots) > 1

    def _clusters(self) -> list[list[int]]:
        """Collect channels that share a producer, in the order in which they are produced."""
        order = {family: place for place, family in enumerate(self.makers)}
        places = {
            root: sorted((order[family], slots[family][0]) for family in slots if family in order)
            for root, slots in self.members.items()
        }
        edges = [(ends[0][0], place) for ends in places.values() for place, _ in ends]
        one, other = (np.array([edge[side] for edge in edges], dtype=np.int64) for side in (0, 1))
        cluster = connected(len(order), one, other)
        clusters: dict[int, list[int]] = defaultdict(list)
        for root in sorted(places, key=places.__getitem__):
            clusters[int(cluster[places[root][0][0]])].append(root)
        return list(clusters.values())

    def _group(self, roots: list[int]) -> ChannelGroup:
        families = {family for root in roots for family in self.members[root]}
        first = next(family for family in self.makers if family in families)
        slices = [
            Slice(*family, *self._entries(family, roots), self._role(family))
            for family in sorted(families, key=self.space.offsets.__getitem__)
        ]
        norms = [(family, self._entries(family, roots)) for family in self.evidence.norms]
        return ChannelGroup(
            name=_module_of(first[0]),
            size=len(roots),
            slices=tuple(slices),
            exact=not self.inexact.intersection(roots),
            least=max((self._least(family, index, len(roots)) for family, (index, _) in norms), default=1),
            norms=tuple(
                NormSlice(*_norm_call(family), *entries) for family, entries in norms if family[1] < 0 and entries[0]
            ),
        )

    def _entries(self, family: Family, roots: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the slots of a family that belong to a group, and the channel of each."""
        wanted, own = np.asarray(roots, dtype=np.int64), self._roots(family)
        order = np.argsort(wanted)
        place = np.searchsorted(wanted, own, sorter=order).clip(max=len(wanted) - 1)
        channel = order[place]
        owned = wanted[channel] == own
        return tuple(np.flatnonzero(owned).tolist()), tuple(channel[owned].tolist())

    def _least(self, family: Family, index: Sequence[int], size: int) -> int:
        """Return how many channels of a group a norm needs: as many as give it enough numbers, or all there are."""
        if not index:
            return 1
        numbers = self.evidence.norms[family] * len(index) / size
        return min(size, math.ceil(NORM_CHANNELS / numbers))

    def _role(self, family: Family) -> Role:
        if family[0] in self.buffers:
            return "buffer"
        if family in self.makers:
            return "filter"
        return "consumer" if family in self.evidence.readers else "carrier"

    def _left_whole(self) -> list[LeftWhole]:
        whole = {name: f"it runs {what}: tracing cannot look into that" for name, what in self.evidence.opaque.items()}
        for family in self.evidence.sources:
            roots = self._roots(family).tolist()
            missing = [root for root in roots if root in self.reasons or self.members.get(root) is None]
            if missing:
                reason = next((self.reasons[root] for root in missing if root in self.reasons), _UNREAD)
                some = f"{len(missing)} of {len(roots)} channels: " if len(missing) < len(roots) else ""
                whole.setdefault(_module_of(family[0]), some + reason)
        return [LeftWhole(name, reason) for name, reason in whole.items()]


def _unique(groups: list[ChannelGroup]) -> list[ChannelGroup]:
    """Number groups that start at the same module: their names are keys."""
    counts: dict[str, int] = defaultdict(int)
    result = []
    for group in groups:
        counts[group.name] += 1
        name = group.name if counts[group.name] == 1 else f"{group.name}#{counts[group.name]}"
        result.append(replace(group, name=name))
    return result


def _norm_call(family: Family) -> tuple[str, int, int]:
    """Read mode, number and axis of a norm without tensors from its family."""
    mode, call = family[0].split(" norm ")
    return mode, int(call), family[1]


def _module_of(name: str) -> str:
    owner = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
    return owner.replace("._orig_mod", "") or name
