"""Averaged copies of the weights that other callbacks keep: they are cut, loaded and judged like the network itself."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from torch import nn

from physprune_pl.callbacks.trainer.internals import averaged_copies, has_trainer, held_averages
from physprune_pl.networks.names import plain, tensors_by_every_name
from physprune_pl.surgery.apply import adopt_shapes, apply_plan
from physprune_pl.surgery.loading import plan_inside
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.surgery.remembered import mirror_sizes


def validated(trainer: Trainer, pl_module: LightningModule) -> LightningModule:
    """Return what holds the weights that a validation judges: the averaged ones where there are any."""
    return (*averaged_copies(trainer), pl_module)[0]


def cut_averages(trainer: Trainer, pl_module: LightningModule, prefix: str, plan: PruningPlan) -> None:
    """Cut the copies like the network, which lies at ``prefix`` in the LightningModule; how many were averaged stays.

    Raises:
        ValueError: the plan does not fit a copy, or a copy may be of several layers, which lose different channels.
    """
    for copy in averaged_copies(trainer):
        apply_plan(copy.get_submodule(prefix.removesuffix(".")), plan)
    for own in held_averages(trainer):
        parts = [plan_inside(plan, prefix, f"{path}." if path else "") for path in _originals(own, pl_module)]
        fitting = [part for part in parts if _fits(part, own)]
        if any(part != fitting[0] for part in fitting):
            raise ValueError(
                f"callbacks: an AveragedModel of {type(own).__name__} may be of several parts of the network, which "
                f"lose different channels; average the network itself, or use WeightAveraging or EMAWeightAveraging"
            )
        for part in fitting[:1]:
            apply_plan(own, part)


def _originals(copy: nn.Module, pl_module: LightningModule) -> list[str]:
    """Paths of the modules of which something may be a copy: of its class, and with tensors of its names."""
    names = set(map(plain, tensors_by_every_name(copy)))
    return [
        path
        for path, module in pl_module.named_modules()
        if type(module) is type(copy) and module is not copy and set(map(plain, tensors_by_every_name(module))) == names
    ]


def _fits(plan: PruningPlan, copy: nn.Module) -> bool:
    shapes = {plain(name): tuple(tensor.shape) for name, tensor in tensors_by_every_name(copy).items()}
    return bool(plan.tensors) and all(shapes.get(name) == cut.shape for name, cut in plan.tensors.items())


def follow_shapes(pl_module: LightningModule, *_: object) -> None:
    """Give the copies the shapes of a LightningModule that has just loaded a state dict: theirs is loaded next."""
    # A copy of the module comes by here too; it has no trainer.
    if not has_trainer(pl_module):
        return
    for copy in averaged_copies(pl_module.trainer):
        _follow(copy, pl_module)
    for own in held_averages(pl_module.trainer):
        for path in _originals(own, pl_module)[:1]:
            _follow(own, pl_module.get_submodule(path))


def _follow(copy: nn.Module, original: nn.Module) -> None:
    adopt_shapes(copy, {plain(name): tuple(tensor.shape) for name, tensor in tensors_by_every_name(original).items()})
    mirror_sizes(copy, original)
