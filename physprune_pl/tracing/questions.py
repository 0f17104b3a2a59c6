"""Asking a model where entries of its tensors go: some alone, several at once by the bits of their index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from physprune_pl.probing.codes import Codes, sure
from physprune_pl.probing.observations import Family, Kind
from physprune_pl.probing.runner import Masks, Run, Runner


@dataclass(frozen=True)
class Questions:
    """Questions about one sort of entries: channels that calls make, or entries of tensors that no call reads by rule.

    Attributes:
        runner: runs the model.
        clean: the run without taint.
        run: runs the model once with the masked entries NaN.
        kinds: observations whose slots must each tell one entry.
    """

    runner: Runner
    clean: Run
    run: Callable[[Masks], Run]
    kinds: frozenset[Kind]

    def alone(self, family: Family, size: int) -> Run | None:
        """Taint a family whole, *whose* entries reach a slot; None where the model takes another way."""
        everything = torch.ones(size, dtype=torch.bool)
        return self.runner.attempt(lambda: self.run({family: everything}), self.clean)

    def coded(self, codes: Masks) -> Codes | None:
        """Taint families by the bits of their entries' codes, *which* entry reaches a slot; None likewise."""
        return self.runner.coded(self.run, codes, self.clean)

    def unclear(self, alone: Run, codes: Codes, size: int) -> dict[int, Tensor]:
        """Return by place of an observation the slots that a family reaches by more than one index, if there are any.

        Args:
            alone: the run with the family tainted whole.
            codes: what :meth:`coded` told.
            size: number of entries of the family.
        """
        asked = [place for place in alone.hits if alone.seen[place].kind in self.kinds]
        found = {place: alone.seen[place].pattern & ~sure(codes[place], size) for place in asked}
        return {place: slots for place, slots in found.items() if bool(slots.any())}

    def rivals_blur(self, family: Family, alone: Run, codes: Codes, size: int, contested: Sequence[Tensor]) -> bool:
        """Return whether other families are to blame for an unclear slot, so that asking this one alone tells more.

        Args:
            family: the family.
            alone, codes, size: see :meth:`unclear`.
            contested: for every observation the slots that several families reach.
        """
        unclear = {place: slots & contested[place] for place, slots in self.unclear(alone, codes, size).items()}
        asked = any(bool(slots.any()) for slots in unclear.values())
        # What one family alone has blurred is not cleared by asking again.
        return asked and not self.runner.blurred(self.run, {family: torch.arange(size)}, self.clean, unclear)
