"""The variants: settings of ``train.py``, or a part of steering exchanged for the time of a fit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from physprune_pl.pressing.steering import ARRIVAL, FREEZE, Steering


class PressesAll(Steering):
    """Presses every channel of the groups that lose some, not only those that will be cut."""

    def displacement(self, strengths: Tensor, law: Tensor) -> Tensor:
        """Return what every channel is to lose in one step, with all of them as the chosen ones."""
        chosen, late = self.chosen, self.late
        self.chosen = self.late = torch.ones_like(chosen)
        try:
            return super().displacement(strengths, law)
        finally:
            self.chosen, self.late = chosen, late


class OneSpeed(Steering):
    """Moves one speed for all groups, by how far the groups with chosen channels have come on average."""

    def _move(self, elapsed: float, line: float) -> None:
        assert self.start is not None
        own = self.remaining
        self.remaining = own[self.start > 0].mean().expand_as(own)
        super()._move(elapsed, line)
        self.remaining = own


class LeavesBehind(Steering):
    """Gives those that are late no more than their own share."""

    @property
    def late(self) -> Tensor:
        """All that are chosen."""
        return self.chosen

    @late.setter
    def late(self, value: Tensor) -> None:
        """Nothing changes it."""


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: in the table.
        overrides: of ``train.py``.
        exchanged: puts another part of steering in place while it is entered.
        cuts: how many fits in a row reach the target, each cutting by the same factor.
        dense: name of the unpressed network that it is compared with.
    """

    name: str
    overrides: tuple[str, ...] = ()
    exchanged: Callable[[], AbstractContextManager[object]] = nullcontext
    cuts: int = 1
    dense: str = "dense, no force, no cut"


def _frozen_at(share: float) -> Callable[[], AbstractContextManager[object]]:
    return partial(patch, "physprune_pl.pressing.steering.FREEZE", share)


def _arriving_at(share: float) -> Callable[[], AbstractContextManager[object]]:
    """Zero is reached earlier, and the set frozen two thirds of the way there, as it is in steering as it is."""
    return partial(patch.multiple, "physprune_pl.pressing.steering", ARRIVAL=share, FREEZE=share * FREEZE / ARRIVAL)


def _steered_by(kind: type[Steering]) -> Callable[[], AbstractContextManager[object]]:
    return partial(patch, "physprune_pl.callbacks.session.session.Steering", kind)


def _in_the_gradient(answer: bool) -> Callable[[], AbstractContextManager[object]]:
    """The pressure goes by way of the gradient whatever the optimizer, or never: then weights are scaled instead."""
    return partial(patch, "physprune_pl.callbacks.force_regularization.follows_gradients", lambda *_: answer)


UNPRESSED = ("force=none", "target.macs=null", "finetune.epochs=0")
DENSE = Variant("dense, no force, no cut", UNPRESSED)
DENSE_ADAMW = Variant("dense, AdamW", (*UNPRESSED, "optimizer=adamw"), dense="dense, AdamW")
STEERED = Variant("as it is (uniform)")
VARIANTS = (
    STEERED,
    Variant("force on all channels", exchanged=_steered_by(PressesAll)),
    Variant("one speed for all groups", exchanged=_steered_by(OneSpeed)),
    Variant("the late get their own share only", exchanged=_steered_by(LeavesBehind)),
    Variant("weights scaled, not the gradient", exchanged=_in_the_gradient(False)),
    Variant("AdamW (weights scaled)", ("optimizer=adamw",), dense=DENSE_ADAMW.name),
    Variant("AdamW, by the gradient", ("optimizer=adamw",), _in_the_gradient(True), dense=DENSE_ADAMW.name),
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
    Variant("gravity", ("force=gravity",)),
    Variant("gravity, the late get their own share only", ("force=gravity",), _steered_by(LeavesBehind)),
    Variant("electrostatic", ("force=electrostatic",)),
    Variant("electrostatic, the late get their own share only", ("force=electrostatic",), _steered_by(LeavesBehind)),
)
