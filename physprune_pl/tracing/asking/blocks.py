"""What keeps channels whole, put down for every source in the order in which its channels meet it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from physprune_pl.probing.watching.observations import Family
from physprune_pl.tracing.asking.streams import Explored, closures
from physprune_pl.tracing.evidence.evidence import Evidence

FIRST = -1
"""Before the place of any observation."""


@dataclass(frozen=True)
class _Block:
    place: int
    reason: str
    family: Family | None
    index: Tensor | None


class Blocks:
    """What keeps the channels of sources whole, and of the sums that these flow into."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._found: dict[Family, list[_Block]] = {}

    def add(
        self, node: Family, place: int, reason: str, family: Family | None = None, index: Tensor | None = None
    ) -> None:
        """Keep slots of a source whole, or of another family that its channels reach at a place; all without index."""
        self._found.setdefault(node, []).append(_Block(place, reason, family, index))

    def settle(self, found: Explored) -> None:
        """Tell the evidence: of sums, for every source that flows into them."""
        if not self._found:
            return
        sums = closures(found)
        for source in found.nodes:
            if source not in found.sums:
                blocks = [block for node in (source, *sums[source]) for block in self._found.get(node, ())]
                for block in sorted(blocks, key=lambda block: block.place):
                    self._evidence.block(block.family or source, block.reason, block.index)
