"""Removes channels wave after wave while the network trains, and says where that cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from physprune_pl.callbacks.cut.aim import strengths_of
from physprune_pl.callbacks.cut.cutting import remove
from physprune_pl.callbacks.session.choosing import meets
from physprune_pl.callbacks.session.phase import PhaseLength, Wave
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import SessionCallback
from physprune_pl.callbacks.trainer.composite import unfolded
from physprune_pl.callbacks.trainer.limits import Limits
from physprune_pl.removals import FEWEST_EPOCHS, Goal, Once, Removal
from physprune_pl.targets.target import Target


class Waves:
    """Carries out a removal in the sparsify phase of a fit.

    Args:
        session: of the fit.
        removal: says when channels go.
    """

    def __init__(self, session: PruningSession, removal: Removal) -> None:
        self._session, self._removal = session, removal

    def begin(self, trainer: Trainer, limits: Limits) -> None:
        """Give the phase its waves, or say why it has none; to be called before the network is traced."""
        session = self._session
        if session.target is None or isinstance(self._removal, Once):
            return
        if reason := next(_obstacles(trainer, session, limits), ""):
            say = rank_zero_info if trainer.fast_dev_run else rank_zero_warn  # type: ignore[attr-defined]
            say(f"removal: everything is removed at once, at the end of the sparsify phase, as {reason}")
            return
        epochs = int(session.length.epochs or 0)
        session.waves = _waves(self._removal.goals(epochs, session.target.share), session.length.start, session.target)

    def over(self, trainer: Trainer) -> bool:
        """Whether a wave is over at the start of an epoch."""
        wave = self._session.wave
        return bool(self._session.waves) and wave is not None and wave.over(trainer)

    def end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove what rests at zero, and begin the next wave; the last one waits until the target is met."""
        session, chooser, steering = self._session, self._session.chooser, self._session.steering
        if chooser is None or steering is None:
            return
        record = session.record
        resting: list[Tensor] = trainer.strategy.broadcast(steering.resting(strengths_of(session)))
        if record.waves + 1 == len(session.waves) and not meets(chooser, resting):
            return
        record.finish("sparsify")
        remove(trainer, pl_module, session, chooser, resting)
        record.waves += 1
        session.follow_plan()
        record.finish("cut")
        rank_zero_info(_summary(session))


def _obstacles(trainer: Trainer, session: PruningSession, limits: Limits) -> Iterator[str]:
    """Yield what keeps channels from being removed before the end of the phase."""
    if not session.steered:
        yield "nothing steers channels to zero in time: give ForceRegularization coefficient='auto'"
    if limits.steps is not None or math.isinf(limits.epochs):
        yield "waves end with epochs: give the Trainer max_epochs alone"
    elif (session.length.epochs or 0) < FEWEST_EPOCHS:
        yield f"waves need a phase of {FEWEST_EPOCHS} epochs (max_epochs), got {session.length.epochs}"
    for one in unfolded(trainer.callbacks):  # type: ignore[attr-defined]
        if isinstance(one, SessionCallback) and one.session is session and one.needs_dense:
            yield one.needs_dense


def _waves(goals: Sequence[Goal], start: int, target: Target) -> tuple[Wave, ...]:
    """Return waves whose last one asks for the target itself."""
    ends = [0, *(goal.end for goal in goals)]
    lengths = [PhaseLength(start + begin, end - begin) for begin, end in pairwise(ends)]
    targets = [*(Target(target.kind, goal.share) for goal in goals[:-1]), target]
    return tuple(Wave(length, aim) for length, aim in zip(lengths, targets, strict=False))


def _summary(session: PruningSession) -> str:
    dense, left = (0, 0) if session.plan is None else session.plan.macs
    share = f"{left / dense:.1%} of the MACs are left" if dense else "nothing was removed"
    return f"PruneAndFinetune: removal {session.record.waves} of {len(session.waves)}: {share}."
