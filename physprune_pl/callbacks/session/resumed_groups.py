"""What is trained, and in which groups, as checkpoints carry it: a fit that is resumed trains what it has trained."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.parameter_groups import group_names, named_groups, regroup
from physprune_pl.networks.names import plain


def optimized(trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
    """Return the parts ``optimized`` and ``frozen`` of a record, as they are now."""
    frozen = [plain(name) for name, parameter in pl_module.named_parameters() if not parameter.requires_grad]
    return {"optimized": group_names(trainer.optimizers, pl_module), "frozen": frozen}


def thaw(record: Record, pl_module: LightningModule) -> None:
    """Let what trained when the checkpoint was written train again: callbacks that thaw do so once, in one epoch."""
    trained = {name for groups in record.optimized for group in groups for name in group} - set(record.frozen)
    parameters = {plain(name): one for name, one in pl_module.named_parameters() if not one.requires_grad}
    again = [name for name in parameters if name in trained]
    for name in again:
        parameters[name].requires_grad_(True)
    if again:
        rank_zero_info(f"{len(again)} parameters that trained when the checkpoint was written train again.")


def regroup_as_saved(record: Record, trainer: Trainer, pl_module: LightningModule) -> None:
    """Give the optimizers the groups that they had when the checkpoint was written, whose states are loaded next."""
    for optimizer, names in zip(trainer.optimizers, record.optimized, strict=False):
        regroup(optimizer, named_groups(names, pl_module))
    record.optimized, record.frozen = [], []
