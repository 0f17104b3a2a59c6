"""Which parameters an optimizer holds together: groups that others have added outlive a resume and a new optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.networks.names import plain

Group = Mapping[str, Any]
Names = list[list[str]]
"""Names of the parameters of each group of one optimizer."""


def regroup(optimizer: Optimizer, wanted: Sequence[Group]) -> list[Tensor]:
    """Let an optimizer hold parameters together as other groups do, such as those of the optimizer in its place before.

    A group of its own that stands for a wanted one, by its parameters or else by its number, keeps its settings and
    gets parameters back that no group holds. Other wanted groups were added by somebody: they are added as they are,
    and their parameters leave the group that holds them now.

    Returns:
        The parameters that no group of the optimizer held.
    """
    groups = optimizer.param_groups
    partners = _partners([_ids(group) for group in groups], [_ids(group) for group in wanted])
    added = [group for group, place in zip(wanted, partners, strict=True) if place is None]
    elsewhere = {key for group in added for key in _ids(group)}
    for own in groups:
        own["params"] = [one for one in own["params"] if id(one) not in elsewhere]
    held = elsewhere.union(*(_ids(own) for own in groups))
    back = []
    for group, place in zip(wanted, partners, strict=True):
        if place is not None:
            lost = [one for one in group["params"] if id(one) not in held]
            groups[place]["params"] += lost
            back += lost
    for group in added:
        optimizer.add_param_group({**group, "params": list(group["params"])})
    return back


def _partners(own: Sequence[set[int]], wanted: Sequence[set[int]]) -> list[int | None]:
    """For each wanted group the number of the own one that stands for it, if any."""
    partners: list[int | None] = [own.index(ids) if ids in own else None for ids in wanted]
    for place, partner in enumerate(partners):
        if partner is None and place < len(own) and place not in partners:
            partners[place] = place
    return partners


def _ids(group: Group) -> set[int]:
    return {id(parameter) for parameter in group["params"]}


def group_names(optimizers: Sequence[Optimizer], pl_module: LightningModule) -> list[Names]:
    """Names of the parameters that each group of each optimizer holds; none for one that holds others' parameters."""
    names = {id(parameter): plain(name) for name, parameter in pl_module.named_parameters()}
    return [_names(optimizer, names) for optimizer in optimizers]


def _names(optimizer: Optimizer, names: Mapping[int, str]) -> Names:
    groups = [_ids(group) for group in optimizer.param_groups]
    if not set[int]().union(*groups) <= names.keys():
        return []
    return [[names[id(one)] for one in group["params"]] for group in optimizer.param_groups]


def named_groups(names: Names, pl_module: LightningModule) -> list[Group]:
    """The groups of parameters of these names; none where the module does not have them all."""
    parameters = {plain(name): parameter for name, parameter in pl_module.named_parameters()}
    if not {name for group in names for name in group} <= parameters.keys():
        return []
    return [{"params": [parameters[name] for name in group]} for group in names]
