"""Cutting: a plan is checked against a network, then applied in place, so that optimizers and hooks stay alive.

A parameter keeps its object and gets smaller data, see :mod:`physprune_pl.surgery.replacement`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from physprune_pl.networks.identity import check_identity
from physprune_pl.networks.isolation import forget_tables
from physprune_pl.networks.names import plain, tensors_by_every_name
from physprune_pl.surgery.configs.following import follow_configs
from physprune_pl.surgery.cuts import TensorCut
from physprune_pl.surgery.module_sizes import set_attributes, sizes_of
from physprune_pl.surgery.optimizer_states import cut_states
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.surgery.replacement import hooked_nodes, hooks_are_lost, replace_data, shrink, stored_like

Model = TypeVar("Model", bound=nn.Module)


def apply_plan(model: Model, plan: PruningPlan, optimizers: Optimizer | Iterable[Optimizer] = ()) -> Model:
    """Cut the network in place: parameters, buffers, optimizer moments and the sizes that modules remember.

    Parameter objects, hooks, ``requires_grad`` and memory formats stay; gradients are dropped, and so are tables that
    modules keep for eval mode where ``train()`` drops them. Everything is checked before anything changes. Losses of
    before may be held by anybody: they can no longer be sent backward, what comes after the cut can. What
    ``torch.compile`` has made is forgotten, and made again for the new shapes.

    What optimizers remember of a parameter is cut with it: tensors of its shape, factored and flattened ones, those in
    lists and dicts. What cannot be cut, such as matrices over all channels, is dropped with a warning that names the
    optimizer, which begins it anew.

    The config of a transformers model follows where it can describe the cut network, so that ``save_pretrained`` and
    ``from_pretrained`` work; where layers have widths of their own a warning says how to load them.

    Args:
        model: the traced network, compiled or not.
        plan: the plan made for it.
        optimizers: the optimizer whose moments are cut too, with those that it wraps, or several.

    Returns:
        The model that came in.

    Raises:
        ValueError: the plan does not fit the network; nothing has changed then.
        TypeError: ``optimizers`` holds something else.

    >>> from physprune_pl import plan_pruning
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> apply_plan(model, plan_pruning(model, torch.zeros(1, 4), {"macs": 0.5}))
    Sequential(
      (0): Linear(in_features=4, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    held = _several(optimizers)
    if hooked := hooked_nodes(dict(model.named_parameters())):
        warnings.warn(hooks_are_lost(hooked), UserWarning, stacklevel=2)
    cut(model, plan, held)
    if "torch._dynamo" in sys.modules:  # to load it for a reset alone would take seconds
        torch.compiler.reset()
    for name in follow_configs(model):
        warnings.warn(_UNDESCRIBED.format(name=name), UserWarning, stacklevel=2)
    return model


def _several(optimizers: Optimizer | Iterable[Optimizer]) -> list[Optimizer]:
    found = list(optimizers) if isinstance(optimizers, Iterable) else [optimizers]
    for one in found:
        # By what is needed: wrappers of optimizers need not be optimizers themselves.
        if not (hasattr(one, "param_groups") and hasattr(one, "state")):
            raise TypeError(f"optimizers: expected an optimizer or several, got {type(one).__name__}")
    return found


_SHAPE_HINT = (
    ". Build the network with the sizes that it was planned with; if it had been pruned before, do the earlier pruning "
    "first, such as load_pruned(load_pruned(model, earlier_file), later_file)"
)
_UNDESCRIBED = (
    "the config of {name} has no numbers for the widths that its layers have now: save_pretrained writes the shapes "
    "into config.json, load_pruned({name}(config), folder) loads them, and from_pretrained alone refuses the weights"
)


def cut(model: Model, plan: PruningPlan, optimizers: Iterable[Optimizer] = ()) -> Model:
    """Do the work of `apply_plan`, and leave configs as they are."""
    tensors = tensors_by_every_name(model)
    cuts = _match(plan, tensors)
    check_identity(plan.fingerprint, model)
    shapes = {key: cut.shape_after for key, (_, cut) in cuts.items()}
    changes = sizes_of(model, shapes, plan.sizes)
    smaller = {key: shrink(tensor.detach(), cut.keep) for key, (tensor, cut) in cuts.items()}
    follow = cut_states(list(optimizers), {key: cut for key, (_, cut) in cuts.items()})
    model.zero_grad(set_to_none=True)
    for key, (tensor, _) in cuts.items():
        replace_data(tensor, smaller[key])
    follow()
    set_attributes(changes)
    forget_tables(model)
    return model


def adopt_shapes(
    model: nn.Module, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, tuple[int, int]] | None = None
) -> None:
    """Give parameters and buffers new shapes, larger or smaller, before a state dict of those shapes is loaded.

    The new values are uninitialised; parameter objects stay, gradients are dropped.

    Args:
        model: the network.
        shapes: path of a parameter or buffer -> its new shape.
        sizes: path of an attribute -> the number that it holds and the one that it is to hold.

    Raises:
        ValueError: a name is not in the model, a shape has another number of dimensions, or an attribute is not what
            it should be.
    """
    reshape(model, shapes, sizes)
    follow_configs(model)


def reshape(
    model: nn.Module, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, tuple[int, int]] | None = None
) -> None:
    """Do the work of `adopt_shapes`, and leave configs as they are."""
    tensors = tensors_by_every_name(model)
    wanted: dict[int, tuple[Tensor, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        tensor = _find(tensors, name)
        if tensor.dim() != len(shape):
            raise ValueError(f"shapes: {name!r} has shape {tuple(tensor.shape)}, so {tuple(shape)} cannot be adopted")
        if tuple(tensor.shape) != tuple(shape):
            wanted[id(tensor)] = (tensor, tuple(shape))
    changes = sizes_of(model, {key: shape for key, (_, shape) in wanted.items()}, sizes)
    for tensor, shape in wanted.values():
        replace_data(tensor, stored_like(tensor.detach().new_empty(shape), tensor))
    set_attributes(changes)
    forget_tables(model)


def _find(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if plain(name) not in tensors:
        raise ValueError(f"{name!r} is no parameter or buffer of the model")
    return tensors[plain(name)]


def _match(plan: PruningPlan, tensors: Mapping[str, Tensor]) -> dict[int, tuple[Tensor, TensorCut]]:
    cuts: dict[int, tuple[Tensor, TensorCut]] = {}
    for name, cut in plan.tensors.items():
        tensor = _find(tensors, name)
        if tuple(tensor.shape) != cut.shape:
            raise ValueError(
                f"plan: {name!r} was planned with shape {cut.shape}, the model has {tuple(tensor.shape)}{_SHAPE_HINT}"
            )
        if id(tensor) in cuts and cuts[id(tensor)][1] != cut:
            raise ValueError(f"plan: {name!r} is tied to a tensor that the plan cuts in another way")
        cuts[id(tensor)] = (tensor, cut)
    return cuts
