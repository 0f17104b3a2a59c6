"""The variants: settings of ``train.py``, or a part of steering exchanged for the time of a fit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from physprune_pl.steering import ARRIVAL, FREEZE, Steering


class PressesAll(Steering):
    """Presses every channel of the groups that lose some, not only those that will be cut."""

    def displacement(self, strengths: Tensor, law: Tensor) -> Tensor:
        """Return what every channel is to lose in one step, with all of them as the chosen ones."""
        chosen = self.chosen
        self.chosen = torch.ones_like(chosen)
        try:
            return super().displacement(strengths, law)
        finally:
            self.chosen = chosen


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: in the table.
        overrides: of ``train.py``.
        exchanged: puts another part of steering in place while it is entered.
        cuts: how many fits in a row reach the target, each cutting by the same factor.
    """

    name: str
    overrides: tuple[str, ...] = ()
    exchanged: Callable[[], AbstractContextManager[object]] = nullcontext
    cuts: int = 1


def _frozen_at(share: float) -> Callable[[], AbstractContextManager[object]]:
    return partial(patch, "physprune_pl.steering.FREEZE", share)


def _arriving_at(share: float) -> Callable[[], AbstractContextManager[object]]:
    """Zero is reached earlier, and the set frozen two thirds of the way there, as it is in steering as it is."""
    return partial(patch.multiple, "physprune_pl.steering", ARRIVAL=share, FREEZE=share * FREEZE / ARRIVAL)


DENSE = Variant("dense, no force, no cut", ("force=none", "target.macs=null", "finetune.epochs=0"))
STEERED = Variant("as it is (uniform)")
VARIANTS = (
    STEERED,
    Variant("force on all channels", exchanged=partial(patch, "physprune_pl.callbacks.session.Steering", PressesAll)),
    Variant("set frozen from the start", exchanged=_frozen_at(0.0)),
    Variant("set frozen at 75 %", exchanged=_frozen_at(ARRIVAL)),
    Variant("at zero after 50 %", exchanged=_arriving_at(0.5)),
    Variant("at zero after 30 %", exchanged=_arriving_at(0.3)),
    Variant("strength of filters alone", ("strength.scope=filter",)),
    Variant("three cuts", cuts=3),
    Variant("a teacher in fine-tuning", ("teacher=true",)),
    Variant("exponential", ("force=exponential",)),
    Variant("exponential, distance by rank", ("force=exponential", "distance=rank")),
    Variant("exponential, set chosen by the law", ("force=exponential", "select=law")),
    Variant("exponential, pivot in the middle", ("force=exponential", "pivot=middle")),
)
