"""What probing found out about a model, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from physprune_pl.probing.flow.heads import Product
from physprune_pl.probing.sizes.sizes import SizeUse
from physprune_pl.probing.sizes.widths import WidthUse
from physprune_pl.probing.watching.observations import Family, Mixing
from physprune_pl.tracing.evidence.components import Indices, Link, SlotSpace
from physprune_pl.tracing.evidence.gates import Channel, Reach, settled


@dataclass
class Evidence:
    """What probing found out; slots are ``(family, index)``.

    Attributes:
        sizes: family -> number of slots.
        links: slots that carry the same channel, as pairs of equally long index tensors.
        reaches: where entries of families went, which couples them with what they reached.
        sources: families whose slots produce channels, in call order, with the name of the weight's bias.
        readers: families whose slots read channels.
        blocked: slots that must stay, with the reason.
        inexact: families whose slots change with what stays beside them, such as those of norms over channels.
        norms: family of a norm over channels -> numbers that the norm takes together for each of its slots.
        standardised: dimensions of weights over which a mean, or the like, is taken before they are used.
        remembered: where attributes of modules are sizes.
        widths: where the size of one axis is asked of another.
        mixings: the mixing calls of the eval run.
        products: the products of activations in the eval run.
        across: weight -> family of which all channels pass its call along another axis than the one that it mixes.
        used: names of all tensors that were used.
        opaque: paths of modules that probing cannot look into -> what they run.
        lines: family of what a call reads, of its heads or of an axis in parts -> the line of code that makes the call.
    """

    sizes: dict[Family, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    reaches: list[Reach] = field(default_factory=list)
    sources: dict[Family, None] = field(default_factory=dict)
    readers: set[Family] = field(default_factory=set)
    blocked: list[tuple[Family, Tensor, str]] = field(default_factory=list)
    inexact: set[Family] = field(default_factory=set)
    norms: dict[Family, int] = field(default_factory=dict)
    standardised: set[Family] = field(default_factory=set)
    remembered: list[SizeUse] = field(default_factory=list)
    widths: list[WidthUse] = field(default_factory=list)
    mixings: list[Mixing] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    across: dict[str, Family] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    opaque: dict[str, str] = field(default_factory=dict)
    lines: dict[Family, str] = field(default_factory=dict)

    def block(self, family: Family, reason: str, index: Tensor | None = None) -> None:
        """Keep slots of a family whole; all of them without an index."""
        self.blocked.append((family, torch.arange(self.sizes[family]) if index is None else index, reason))

    def link(self, one: Family, one_index: Tensor, other: Family, other_index: Tensor) -> None:
        """Couple slots pairwise."""
        self.links.append((one, one_index, other, other_index))

    def reach(self, reach: Reach) -> None:
        """Note where entries of a family went."""
        self.reaches.append(reach)

    def components(self) -> tuple[SlotSpace, Indices, list[Channel]]:
        """Number all slots; return for each the smallest that carries its channel, and what meets several channels."""
        space = SlotSpace.of(self.sizes)
        links, gates = settled(self.reaches, self.links, space)
        return space, space.components(links), gates
