"""Averaged copies of the weights that other callbacks keep: they are cut, loaded and judged like the network itself."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.trainer.internals import averaged_copies, has_trainer
from physprune_pl.networks.names import plain, tensors_by_every_name
from physprune_pl.surgery.apply import adopt_shapes, apply_plan
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.surgery.remembered import mirror_sizes


def validated(trainer: Trainer, pl_module: LightningModule) -> LightningModule:
    """Return what holds the weights that a validation judges: the averaged ones where there are any."""
    return (*averaged_copies(trainer), pl_module)[0]


def cut_averages(trainer: Trainer, prefix: str, plan: PruningPlan) -> None:
    """Cut the copies like the network, which lies at ``prefix`` in the LightningModule; how many were averaged stays.

    Raises:
        ValueError: the plan does not fit a copy.
    """
    for copy in averaged_copies(trainer):
        apply_plan(copy.get_submodule(prefix.removesuffix(".")), plan)


def follow_shapes(pl_module: LightningModule, *_: object) -> None:
    """Give the copies the shapes of a LightningModule that has just loaded a state dict: theirs is loaded next."""
    # A copy of the module comes by here too; it has no trainer.
    if not has_trainer(pl_module):
        return
    shapes = {plain(name): tuple(tensor.shape) for name, tensor in tensors_by_every_name(pl_module).items()}
    for copy in averaged_copies(pl_module.trainer):
        adopt_shapes(copy, shapes)
        mirror_sizes(copy, pl_module)
