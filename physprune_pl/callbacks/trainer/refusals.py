"""What a fit with a cut in the middle refuses, before anything expensive happens."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.optim import LBFGS

from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.surgery.replacement import hooked_nodes, hooks_are_lost


def check_arguments(finetune_epochs: Any, finetune_lr: Any, monitor: Any, mode: Any) -> None:
    """Check the arguments of the callback.

    Raises:
        ValueError: one is outside its range.
    """
    if isinstance(finetune_epochs, bool) or not isinstance(finetune_epochs, int) or finetune_epochs < 0:
        raise ValueError(f"finetune_epochs: expected a whole number of at least 0, got {finetune_epochs!r}")
    number = isinstance(finetune_lr, int | float) and not isinstance(finetune_lr, bool)
    if finetune_lr is not None and not (number and 0 < finetune_lr < float("inf")):
        raise ValueError(f"finetune_lr: expected a positive number or None, got {finetune_lr!r}")
    if (monitor is None) != (mode is None) or mode not in (None, "min", "max"):
        raise ValueError(f"mode: expected 'min' or 'max' together with a monitor, got {mode!r} with {monitor!r}")


def check_trainer(trainer: Any, finetune_epochs: int) -> None:
    """Check that a trainer says how long the phases are, trains in processes that stay, and keeps no dense copies.

    Raises:
        ValueError: it is otherwise, or there is nothing to train.
    """
    if trainer.max_epochs == -1 and trainer.max_steps == -1:
        raise ValueError(
            "max_epochs: expected a number of epochs before the cut, or of steps (max_steps), got neither; max_time "
            "alone does not say how many there are"
        )
    if 0 in (trainer.max_epochs, trainer.max_steps) and not finetune_epochs:
        raise ValueError(
            f"max_epochs: expected something to train, got {trainer.max_epochs} epochs, {trainer.max_steps} steps, "
            f"finetune_epochs={finetune_epochs}; to prune without any training use plan_pruning and apply_plan"
        )
    if type(trainer.strategy.launcher).__name__ == "_MultiProcessingLauncher":
        raise ValueError(
            "strategy: of a spawned process only weights come back, no plan and no report; use 'ddp' instead, which "
            "starts the script once for every process"
        )
    if any(is_a(callback, "StochasticWeightAveraging") for callback in trainer.callbacks):
        raise ValueError(
            "callbacks: StochasticWeightAveraging plans epochs and learning rates for a fit of one phase, and keeps a "
            "dense copy of the weights; use WeightAveraging or EMAWeightAveraging, whose copies are cut too"
        )


def check_strategy(strategy: Any) -> None:
    """Refuse strategies that shard parameters.

    Raises:
        NotImplementedError: the strategy leaves each process a part of every weight.
    """
    if is_a(strategy, "DeepSpeedStrategy", "FSDPStrategy", "ModelParallelStrategy"):
        raise NotImplementedError(
            f"strategy: {type(strategy).__name__} leaves each process a part of every weight, but channels are cut "
            f"from whole ones; prune on one process or with 'ddp', build the network anew, "
            f"load_pruned(network, checkpoint), and go on from there with this strategy"
        )


def check_hooks(pl_module: LightningModule) -> None:
    """Refuse hooks that would not fire any more after the cut.

    Raises:
        ValueError: a hook is on the node of a parameter in the autograd graph, not on the parameter.
    """
    if hooked := hooked_nodes(dict(pl_module.named_parameters())):
        raise ValueError(hooks_are_lost(hooked))


def check_trainable(trainer: Trainer, pl_module: LightningModule) -> None:
    """Refuse optimizers and networks that cannot be cut.

    Raises:
        ValueError: the optimizer is LBFGS, or no parameter is trainable.
    """
    if any(isinstance(optimizer, LBFGS) for optimizer in trainer.optimizers):
        raise ValueError("optimizer: LBFGS is not supported, its state cannot be cut")
    if not any(parameter.requires_grad for parameter in pl_module.parameters()):
        raise ValueError(f"every parameter of {type(pl_module).__name__} is frozen: nothing can be pruned")
