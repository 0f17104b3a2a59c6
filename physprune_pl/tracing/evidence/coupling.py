"""Turns the evidence of probing into groups: slots that carry one channel are one channel of one group."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physprune_pl.probing.flow.heads import Product
from physprune_pl.probing.sizes.sizes import SizeUse
from physprune_pl.probing.watching.observations import OUTPUT, Family
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
from physprune_pl.tracing.evidence.components import Indices
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.evidence.gates import Channel
from physprune_pl.tracing.evidence.in_step import in_step
from physprune_pl.tracing.evidence.members import Mask, Members, Owners


@dataclass(frozen=True)
class Coupled:
    """What evidence comes to.

    Attributes:
        groups: the candidate groups in call order.
        left_whole: what stays whole and why.
        products: the products that shrink with heads.
        sizes: what modules remember of sizes that can change.
        across: weight -> tensor and dimension whose channels pass its call along another axis than the one it mixes.
    """

    groups: list[ChannelGroup]
    left_whole: list[LeftWhole]
    products: list[MixingCall]
    sizes: list[RememberedSize]
    across: dict[str, Family]


_GATE = "a channel that meets all channels of another layer at once, as a gate does"
_UNREAD = "nothing was seen to read its channels"


def find_groups(evidence: Evidence, parameters: frozenset[str], buffers: frozenset[str]) -> Coupled:
    """Turn evidence into groups; the names are those of the model's parameters and buffers."""
    return _Coupling(evidence, parameters, buffers).result()


class _Coupling:
    def __init__(self, evidence: Evidence, parameters: frozenset[str], buffers: frozenset[str]) -> None:
        self.evidence, self.buffers = evidence, buffers
        self.space, root, gates = evidence.components()
        self.root = in_step(evidence, self.space, root)
        self.reasons = self._reasons(gates)
        self.inexact = self._marked(evidence.inexact & evidence.sizes.keys())
        wanted = self._marked(evidence.readers) & self._marked(evidence.sources)
        wanted[list(self.reasons)] = False
        known = parameters | buffers
        tensors = [family for family in self.space.offsets if family[1] >= 0 and family[0] in known]
        self.members = self._not_emptied(Members.of(tensors, self.space, self.root, wanted))
        # The outputs of a grouped transposed convolution are no dimension of its weight: its rows stand for them.
        made = dict.fromkeys((name, 0) if dim == OUTPUT else (name, dim) for name, dim in evidence.sources)
        self.makers = {family: place for place, family in enumerate(made)}

    def _roots(self, family: Family) -> Indices:
        return self.root[self.space.slots(family)]

    def _marked(self, families: Iterable[Family]) -> Mask:
        """Return a mask of the roots that slots of some families have."""
        mask = np.zeros(self.space.size, dtype=np.bool_)
        for family in families:
            mask[self._roots(family)] = True
        return mask

    def _reasons(self, gates: Sequence[Channel]) -> dict[int, str]:
        reasons: dict[int, str] = {}
        for family, index, reason in self.evidence.blocked:
            for root in self.root[self.space.slots(family, index)].tolist():
                reasons.setdefault(root, reason)
        for family, entry in gates:
            reasons.setdefault(int(self._roots(family)[entry]), _GATE)
        return reasons

    def _not_emptied(self, members: Members) -> Members:
        """Keep channels that are all there is of some dimension."""
        emptied = members.filling(self.evidence.sizes)
        for root, family in emptied.items():
            self.reasons[root] = f"{_module_of(family[0])} would be left without channels{self._as_one(root)}"
        return members.without([*emptied]) if emptied else members

    def _as_one(self, root: int) -> str:
        """Say what makes one channel of all of them: heads, or parts of an axis; nothing if neither does."""
        for product in self.evidence.products:
            if self._all_are(root, product.units):
                heads = "the only head" if self.evidence.sizes[product.units] == 1 else "all heads at once"
                return f": all of them go with {heads}{self._at(product.units)}"
        parts = (one for one in self.evidence.lines if " part " in one[0] and one in self.space.offsets)
        part = next((one for one in parts if self._all_are(root, one)), None)
        return f": all of them go together, in equal parts{self._at(part)}" if part else ""

    def _all_are(self, root: int, family: Family) -> bool:
        return set(self._roots(family).tolist()) == {root}

    def _at(self, family: Family) -> str:
        line = self.evidence.lines.get(family)
        return f" at {line}" if line else ""

    def result(self) -> Coupled:
        clusters = [roots for roots in self.members.clusters(self.makers) if self._plural(roots)]
        owned = Owners.of(clusters, self.space.size)
        families, norms = self.members.families_of(owned.group, len(clusters)), self._norms(owned)
        groups = _unique(
            [
                self._group(owned, number, roots, own, norms[number])
                for number, (roots, own) in enumerate(zip(clusters, families, strict=True))
            ]
        )
        calls = [call for call in map(self._call, self.evidence.products) if call is not None]
        owners = {
            root: (group.name, channel)
            for group, roots in zip(groups, clusters, strict=True)
            for channel, root in enumerate(roots.tolist())
        }
        across = {weight: self._shared_out(family) for weight, family in self.evidence.across.items()}
        known = {weight: places[0] for weight, places in across.items() if places}
        return Coupled(groups, self._left_whole(), calls, self._sizes(owners), known)

    def _norms(self, owned: Owners) -> dict[int, list[Family]]:
        """Return by number of a group the norms that its channels meet."""
        norms: dict[int, list[Family]] = defaultdict(list)
        for family in self.evidence.norms:
            for number in np.unique(owned.group[self._roots(family)]).tolist():
                norms[number].append(family)
        return norms

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
        fitting = (place for place in self._shared_out(product.units) if product.macs % self.evidence.sizes[place] == 0)
        place = next(fitting, None)
        if place is None:
            return None
        return MixingCall(place[0], product.macs // self.evidence.sizes[place], dims=(place[1],))

    def _shared_out(self, family: Family) -> list[Family]:
        """Return dimensions that are shared out evenly among the channels of a family: those of weights come first."""
        counts = Counter(self._roots(family).tolist())
        if not all(root in self.members for root in counts) or len(set(counts.values())) > 1:
            return []
        owners = [self.members.slots_of(root) for root in counts]
        shares = {place: {slots.get(place, 0) for slots in owners} for place in owners[0]}
        even = [place for place, found in shares.items() if found == {self.evidence.sizes[place] / len(counts)}]
        return sorted(even, key=lambda place: place not in self.makers and place not in self.evidence.readers)

    def _plural(self, roots: Indices) -> bool:
        if len(roots) < 2:
            self.reasons.update(dict.fromkeys(roots.tolist(), "its channels are tied into one"))
        return len(roots) > 1

    def _group(
        self, owned: Owners, number: int, roots: Indices, families: Sequence[Family], norms: Sequence[Family]
    ) -> ChannelGroup:
        first = min((family for family in families if family in self.makers), key=self.makers.__getitem__)
        slices = [
            Slice(*family, *owned.entries(self._roots(family), number), self._role(family)) for family in families
        ]
        met = [(family, owned.entries(self._roots(family), number)) for family in norms]
        return ChannelGroup(
            name=_module_of(first[0]),
            size=len(roots),
            slices=tuple(slices),
            exact=not bool(self.inexact[roots].any()),
            least=max((self._least(family, index, len(roots)) for family, (index, _) in met), default=1),
            norms=tuple(NormSlice(*_norm_call(family), *entries) for family, entries in met if family[1] < 0),
        )

    def _least(self, family: Family, index: Sequence[int], size: int) -> int:
        """Return how many channels of a group a norm needs: as many as give it enough numbers, or all there are."""
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
        removable = np.zeros(self.space.size, dtype=np.bool_)
        removable[self.members.root] = True
        removable[list(self.reasons)] = False
        for family in self.evidence.sources:
            roots = self._roots(family)
            missing = roots[~removable[roots]].tolist()
            if missing:
                whole.setdefault(_module_of(family[0]), self._why(missing, len(roots)))
        return [LeftWhole(name, reason) for name, reason in whole.items()]

    def _why(self, missing: Sequence[int], size: int) -> str:
        """Return the reasons why channels of a layer stay, each with how many it holds for if that is not all."""
        counts = Counter(self.reasons[root] for root in missing if root in self.reasons)
        reasons = counts or Counter({_UNREAD: len(missing)})
        if len(reasons) == 1 and len(missing) == size:
            return next(iter(reasons))
        return "; ".join(f"{count} of {size} channels: {reason}" for reason, count in reasons.items())


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
