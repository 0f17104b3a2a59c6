"""What injecting a penalty has to know of trainer and optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import LBFGS, SGD, Optimizer

from physprune_pl.strengths import L2, Strength


def check_optimizers(trainer: Trainer) -> None:
    """Refuse LBFGS, and a fit without an optimizer, with a ValueError."""
    if any(isinstance(optimizer, LBFGS) for optimizer in trainer.optimizers):
        raise ValueError(
            "optimizer: LBFGS evaluates the loss many times a step, and the penalty is no part of the loss; use another"
        )
    if not any(group["params"] for optimizer in trainer.optimizers for group in optimizer.param_groups):
        raise ValueError(
            "optimizer: expected configure_optimizers to return one that holds parameters, got none; a force needs "
            "steps, PruneAndFinetune alone prunes without"
        )


def loss_scale(trainer: Trainer, device: torch.device) -> Tensor | float:
    """Return what the gradients are multiplied by at the moment, without reading it back from the device."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None:
        return 1.0
    scale: Tensor = scaler.scale(torch.ones((), device=device))
    return scale


def scale_at_step(trainer: Trainer, device: torch.device, optimizer: Optimizer) -> Tensor | float:
    """Return what the gradients are multiplied by when an optimizer is about to step.

    They are unscaled by then, unless the optimizer does that itself.
    """
    return loss_scale(trainer, device) if getattr(optimizer, "_step_supports_amp_scaling", False) else 1.0


def steps_without_backward(trainer: Trainer, pl_module: LightningModule) -> bool:
    """Return whether an optimizer steps, by what it has, where the last batch gave no loss.

    With a gradient scaler automatic optimization does not, and leaves the gradients multiplied.
    """
    return not pl_module.automatic_optimization or getattr(trainer.precision_plugin, "scaler", None) is None


def held_ids(optimizers: Sequence[Optimizer]) -> set[int]:
    """Return the ids of all parameters of some optimizers."""
    return {id(parameter) for one in optimizers for group in one.param_groups for parameter in group["params"]}


def follows_gradients(optimizer: Optimizer, strength: Strength) -> bool:
    """Return whether a pressure in the gradient takes that much off a strength: plain SGD and the L2 norm.

    Adam and its kin divide by the gradient's own size, so that any pressure makes the same small step.
    """
    return isinstance(optimizer, SGD) and isinstance(strength, L2)


def effective_rate(optimizers: Sequence[Optimizer]) -> float:
    """Return how far a steady gradient moves a weight per step: learning rate / (1 - momentum), the largest.

    An optimizer that finds its rate itself and has none in its groups counts as one of rate 1.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return max(_rate(group.get("lr")) / (1.0 - min(group.get("momentum") or 0.0, 0.999)) for group in groups)


def _rate(given: Any) -> float:
    return 1.0 if given is None else float(given)


def logs_now(trainer: Trainer, pl_module: LightningModule) -> bool:
    """Return whether this step is one of every ``log_every_n_steps``."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    step = trainer.global_step if pl_module.automatic_optimization else trainer.fit_loop.total_batch_idx
    return every > 0 and (step + 1) % every == 0
