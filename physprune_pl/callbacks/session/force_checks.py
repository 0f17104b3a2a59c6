"""What a force is asked for, and whether it can be paid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.schedules import Constant
from physprune_pl.targets.widths import Widths

Coefficient = float | Literal["auto"]


def checked_coefficient(coefficient: Any) -> Coefficient:
    """Return a coefficient as a number or ``"auto"``.

    Raises:
        TypeError: it is neither.
        ValueError: it is a number under 0, or not finite.
    """
    if coefficient == "auto":
        return "auto"
    if isinstance(coefficient, bool) or not isinstance(coefficient, int | float):
        raise TypeError(f'coefficient: expected a number or "auto", got {coefficient!r}')
    if not math.isfinite(coefficient) or coefficient < 0:
        raise ValueError(f'coefficient: expected a finite number of at least 0, or "auto", got {coefficient!r}')
    return float(coefficient)


def check_aim(session: PruningSession, coefficient: Coefficient, alone: bool = False) -> None:
    """Check that a coefficient has what it is to reach.

    Args:
        session: of the fit.
        coefficient: number, or ``"auto"``.
        alone: whether the trainer has the force, but nothing that cuts.

    Raises:
        ValueError: it has not, or there are bounds of a cut without a cut.
    """
    target = session.target
    if coefficient == "auto" and target is not None and target.kind == "threshold":
        raise ValueError('coefficient="auto" cannot steer to a threshold, which names no size: give a number')
    if coefficient == "auto" and alone:
        raise ValueError(
            'coefficient="auto" needs a target to steer to: give the trainer PruneAndFinetune(target=...) as well, '
            "or use physics_pruning(target=...), or a number"
        )
    if alone and session.widths != Widths():
        raise ValueError("min_share, max_share: a force alone cuts nothing; they go with PruneAndFinetune")


def check_length(
    trainer: Trainer, session: PruningSession, coefficient: Coefficient, schedule: Callable[[float], float]
) -> None:
    """Check that the length of the phase is known where it is needed.

    Raises:
        ValueError: it is not.
    """
    if coefficient != "auto" and schedule == Constant():
        return
    length = session.length
    if length.steps is None and length.epochs in (None, -1):
        raise ValueError("a schedule or steering needs the length of the phase: expected max_epochs or max_steps")
    length.check_known(trainer)


def warn_unpaid(trainer: Trainer, pl_module: LightningModule) -> None:
    """Say that an epoch went by in which nothing was pressed."""
    kinds = ", ".join(sorted({type(one).__name__ for one in trainer.optimizers})) or "no optimizer"
    rank_zero_warn(
        f"ForceRegularization: epoch {trainer.current_epoch} went by without one step of {kinds} that it could press "
        f"before, so that nothing is brought to zero: training_step of {type(pl_module).__name__} should call .step() "
        f"of an optimizer of self.optimizers(), with gradients"
    )
