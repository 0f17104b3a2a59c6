"""What is removed at a cut, which groups are late, and whether a target can be met at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from physprune_pl.callbacks.cut.cutting import rehearse
from physprune_pl.callbacks.cut.reach import with_reasons
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.internals import first_batch
from physprune_pl.callbacks.trainer.next_step import step_of
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import TargetError

# A group whose strongest channel is below this share of the strongest of all does nothing.
DEAD = 1e-6


def choose(session: PruningSession, chooser: Chooser, steering: Steering | None) -> list[Tensor]:
    """Channels to remove, bool [K] per group: the set that steering pressed, else what the target asks of strengths.

    Where all waves of removals are over, nothing is left to remove.
    """
    if session.wave is None:
        return list(chooser.gone or ())
    if _steered(steering, chooser):
        return steering.removed()
    strengths, told = strengths_of(session), _told(session)
    parts = [strengths[segment] for segment in session.penalty.segments]
    known = None if told is None else [told.to(strengths)[segment] for segment in session.penalty.segments]
    return chooser.choose(parts, session.select.scores(parts, None, known))


def _told(session: PruningSession) -> Tensor | None:
    """What gradients have told of the channels so far, shape [N], where they choose; None where they do not."""
    return None if session.importance is None else session.importance.mean.roots()


def _steered(steering: Steering | None, chooser: Chooser) -> TypeGuard[Steering]:
    """Whether steering has chosen what the target itself asks for, not what a wave on the way does."""
    return steering is not None and steering.chooser is chooser and bool(steering.chosen.any())


def strengths_of(session: PruningSession) -> Tensor:
    """Strength of every channel, shape [N], frozen parameters included: what cannot be pressed is not worthless."""
    if all(parameter.requires_grad for parameter in session.tensors.values()):
        return session.penalty.strengths()
    thawed = {name: parameter.detach().requires_grad_() for name, parameter in session.tensors.items()}
    return Penalty(session.groups, thawed, session.strength).strengths()


def not_arrived(
    session: PruningSession, chooser: Chooser, steering: Steering | None, removed: Sequence[Tensor]
) -> list[str]:
    """Names of the groups of which steering could not bring to zero what is removed; all where it never pressed."""
    if steering is None:
        return []
    if not _steered(steering, chooser):
        gone = [bool((mask.cpu() & ~old).any()) for mask, old in zip(removed, chooser.gone or (), strict=True)]
        return [group.name for group, goes in zip(session.groups, gone, strict=True) if goes]
    return [one.group for one in steering.arrivals(session.penalty.strengths()) if not one.arrived]


def dead_groups(session: PruningSession) -> list[str]:
    """Names of the groups of which no channel does anything any more: the whole branch could go by hand."""
    strengths = strengths_of(session)
    peaks = torch.stack([strengths[segment].max() for segment in session.penalty.segments])
    dead = (peaks <= DEAD * peaks.max()).tolist()
    return [group.name for group, gone in zip(session.groups, dead, strict=True) if gone]


class Aim:
    """Finds out which channels go so that the target is met."""

    def __init__(self, session: PruningSession) -> None:
        self._session, self._tried = session, False

    @property
    def known(self) -> bool:
        """Whether the network is traced, by whichever callback, and a cut of it was tried."""
        return self._session.ready and self._tried

    def find_chooser(
        self, trainer: Trainer, pl_module: LightningModule, record: Record, step: Any = None
    ) -> Chooser | None:
        """Trace, and choose once so that a target out of reach is known now; None as long as there is no input."""
        session = self._session
        if not session.prepare(trainer, pl_module, step) or session.chooser is None:
            return None
        # Always the session's: a step may show that groups must stay whole.
        chooser = session.chooser
        if not self._tried:
            self._tried = True
            record.seconds["trace"] = session.trace.seconds
            rehearse(trainer, session, chooser, self._in_reach(trainer, pl_module, chooser))
        return chooser

    def _in_reach(self, trainer: Trainer, pl_module: LightningModule, chooser: Chooser) -> list[Tensor]:
        """Choose by the strengths of now; where the target is out of reach say what nothing trains."""
        try:
            return choose(self._session, chooser, None)
        except TargetError as error:
            raise with_reasons(error, trainer, pl_module, self._session, chooser) from error

    def need_chooser(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> Chooser:
        """Trace with a batch drawn for that where no step was run and none will be."""
        chooser = self.find_chooser(trainer, pl_module, record)
        if chooser is None:
            chooser = self.find_chooser(trainer, pl_module, record, step_of(trainer, first_batch(trainer), 0))
        if chooser is None:
            raise RuntimeError(
                f"training_step of {type(pl_module).__name__} computed no loss: there is nothing to trace"
            )
        return chooser

    def choose(self, chooser: Chooser, record: Record) -> list[Tensor]:
        """Channels to remove, bool [K] per group on the CPU; groups that did not arrive are noted.

        Raises:
            ValueError: gradients are to choose, and there were none.
        """
        steering = self._session.steering
        if self._session.importance is not None and _told(self._session) is None:
            raise ValueError(
                f"select: {self._session.select!r} reads the gradients of training steps before the cut, and there was "
                f"none that reached a channel; train at least an epoch before it (max_epochs=1), or take "
                f'select="strength"'
            )
        removed = [mask.cpu() for mask in choose(self._session, chooser, steering)]
        record.not_arrived = not_arrived(self._session, chooser, steering, removed)
        return removed
