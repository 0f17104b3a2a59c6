"""Whether a fit will be cut, and whether it was: looked at as early as that can be known."""

from __future__ import annotations

import math

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from physprune_pl.callbacks.cut.cutting import summary
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.kept_optimizers import try_again
from physprune_pl.callbacks.trainer.limits import Limits
from physprune_pl.callbacks.trainer.refusals import check_trainable
from physprune_pl.targets.target import TOLERANCE, Target


def check_epochs_left(trainer: Trainer, limits: Limits) -> None:
    """Refuse a trainer that has fitted before and whose epochs are over.

    Raises:
        ValueError: there is nothing left to train.
    """
    done = trainer.current_epoch
    if trainer.ckpt_path is None and limits.added and 0 < limits.epochs <= done:
        raise ValueError(
            f"max_epochs: expected epochs to train before the cut, got {limits.epochs}, of which this trainer has "
            f"trained {done} in an earlier fit; use a new Trainer"
        )


def check_start(trainer: Trainer, pl_module: LightningModule, limits: Limits) -> None:
    """Look, before the first step, at what fine-tuning will need.

    Raises:
        ValueError: optimizers or network cannot be cut, or nobody knows how long fine-tuning is.
    """
    check_trainable(trainer, pl_module)
    if not limits.added:
        return
    if math.isinf(limits.epochs) and math.isinf(trainer.num_training_batches):
        raise ValueError(
            f"max_steps: nobody knows how long the {limits.added} epochs of fine-tuning are, as the training data has "
            f"no length; expected limit_train_batches, the batches of an epoch, or finetune_epochs=0"
        )
    try_again(trainer, pl_module, limits.added)


def check_end(trainer: Trainer, record: Record, stepped: bool) -> None:
    """Say, at the end of a fit, that it was not cut, or not as far as the target asks.

    Args:
        trainer: of the fit.
        record: what the fit has done.
        stepped: whether it has run a step of training.

    Raises:
        ValueError: nothing was trained either.
    """
    if record.phase == "finetune":
        return
    pruned = "nothing was pruned" if record.plan is None else "the target is not met"
    message = f"{pruned}: the fit ended in epoch {trainer.current_epoch}, before its cut"
    if stepped:
        rank_zero_warn(message)
        return
    raise ValueError(
        f"{message}, without a step of training; expected batches (limit_train_batches) and more epochs (max_epochs, "
        f"got {trainer.max_epochs}) than the checkpoint, if there is one, has trained"
    )


def tell_cut(record: Record, target: Target) -> None:
    """Say what was removed; warn if that is nothing, or more than is asked for."""
    plan = record.plan
    assert plan is not None
    rank_zero_info(summary(plan, record.not_arrived, record.dead_groups))
    if plan.params[0] == plan.params[1]:
        rank_zero_warn(
            f"the cut has removed no channel: none is under the target {target.kind}={target.share:g}; ask for more, "
            f"or press harder (coefficient)"
        )
    dense, left = plan.params if target.kind == "params" else plan.macs
    if target.kind in ("macs", "params") and left < (1.0 - TOLERANCE) * target.share * dense:
        rank_zero_warn(
            f"target: {target.kind}={target.share:g} was asked for, and {left / dense:.3g} is left, as what the fit "
            f"had removed before its checkpoint does not come back; begin with the dense network to keep more"
        )
