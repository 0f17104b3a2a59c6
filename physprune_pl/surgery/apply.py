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

from physprune_pl.networks.example import memory_format_of
from physprune_pl.networks.identity import check_identity
from physprune_pl.networks.names import plain, tensors_by_every_name
from physprune_pl.surgery.module_sizes import set_attributes, sizes_of
from physprune_pl.surgery.plan import PruningPlan, TensorCut
from physprune_pl.surgery.replacement import hooked_nodes, hooks_are_lost, replace_data
from physprune_pl.surgery.transformers_configs import follow_configs

Model = TypeVar("Model", bound=nn.Module)


def apply_plan(model: Model, plan: PruningPlan, optimizers: Optimizer | Iterable[Optimizer] = ()) -> Model:
    """Cut the network in place: parameters, buffers, optimizer moments and the sizes that modules remember.

    Parameter objects, hooks, ``requires_grad`` and memory formats stay; gradients are dropped. Everything is checked
    before anything changes. Losses of before may be held by anybody: they can no longer be sent backward, what comes
    after the cut can. A state of an optimizer that has another shape than its parameter is dropped. What
    ``torch.compile`` has made is forgotten, and made again for the new shapes.

    The config of a transformers model follows where it can describe the cut network, so that ``save_pretrained`` and
    ``from_pretrained`` work; where layers have widths of their own a warning says how to load them.

    Args:
        model: the traced network, compiled or not.
        plan: the plan made for it.
        optimizers: the optimizer whose moments are cut too, or several.

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


_UNDESCRIBED = (
    "the config of {name} has one number for all layers, which now differ: save_pretrained writes their shapes into "
    "config.json, load_pruned({name}(config), folder) loads them, and from_pretrained alone refuses the weights"
)


def cut(model: Model, plan: PruningPlan, optimizers: Iterable[Optimizer] = ()) -> Model:
    """Do the work of `apply_plan`, and leave configs as they are."""
    tensors = tensors_by_every_name(model)
    cuts = _match(plan, tensors)
    check_identity(plan.fingerprint, model)
    shapes = {key: cut.shape_after for key, (_, cut) in cuts.items()}
    changes = sizes_of(model, shapes)
    smaller = {key: shrink(tensor.detach(), cut) for key, (tensor, cut) in cuts.items()}
    moments = [(optimizer, *_cut_state(optimizer, cuts)) for optimizer in optimizers]
    model.zero_grad(set_to_none=True)
    for key, (tensor, _) in cuts.items():
        replace_data(tensor, smaller[key])
    for optimizer, changed, stale in moments:
        for parameter, state in changed:
            optimizer.state[parameter].update(state)
        for parameter in stale:
            del optimizer.state[parameter]
    set_attributes(changes)
    return model


def adopt_shapes(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give parameters and buffers new shapes, larger or smaller, before a state dict of those shapes is loaded.

    The new values are uninitialised; parameter objects stay, gradients are dropped.

    Raises:
        ValueError: a name is not in the model, or a shape has another number of dimensions.
    """
    reshape(model, shapes)
    follow_configs(model)


def reshape(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Do the work of `adopt_shapes`, and leave configs as they are."""
    tensors = tensors_by_every_name(model)
    wanted: dict[int, tuple[Tensor, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        tensor = _find(tensors, name)
        if tensor.dim() != len(shape):
            raise ValueError(f"shapes: {name!r} has shape {tuple(tensor.shape)}, so {tuple(shape)} cannot be adopted")
        if tuple(tensor.shape) != tuple(shape):
            wanted[id(tensor)] = (tensor, tuple(shape))
    changes = sizes_of(model, {key: shape for key, (_, shape) in wanted.items()})
    for tensor, shape in wanted.values():
        replace_data(tensor, _like(tensor.detach().new_empty(shape), tensor))
    set_attributes(changes)


def shrink(tensor: Tensor, cut: TensorCut) -> Tensor:
    """The part of a tensor that stays, in its memory format."""
    smaller = tensor
    for dim, kept in cut.keep.items():
        smaller = smaller.index_select(dim, torch.tensor(kept, device=tensor.device))
    return _like(smaller, tensor)


def _like(new: Tensor, old: Tensor) -> Tensor:
    return new.contiguous(memory_format=memory_format_of(old))


def _find(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if plain(name) not in tensors:
        raise ValueError(f"{name!r} is no parameter or buffer of the model")
    return tensors[plain(name)]


def _match(plan: PruningPlan, tensors: Mapping[str, Tensor]) -> dict[int, tuple[Tensor, TensorCut]]:
    cuts: dict[int, tuple[Tensor, TensorCut]] = {}
    for name, cut in plan.tensors.items():
        tensor = _find(tensors, name)
        if tuple(tensor.shape) != cut.shape:
            raise ValueError(f"plan: {name!r} was planned with shape {cut.shape}, the model has {tuple(tensor.shape)}")
        if id(tensor) in cuts and cuts[id(tensor)][1] != cut:
            raise ValueError(f"plan: {name!r} is tied to a tensor that the plan cuts in another way")
        cuts[id(tensor)] = (tensor, cut)
    return cuts


def _cut_state(
    optimizer: Optimizer, cuts: Mapping[int, tuple[Tensor, TensorCut]]
) -> tuple[list[tuple[Tensor, dict[str, Tensor]]], list[Tensor]]:
    """New moments of the parameters that are cut, and the parameters whose state cannot be cut."""
    changed, stale = [], []
    for parameter, state in optimizer.state.items():
        if id(parameter) not in cuts:
            continue
        cut = cuts[id(parameter)][1]
        moments = {key: value for key, value in state.items() if isinstance(value, Tensor) and value.numel() > 1}
        partial = {key: _partial(value, cut) for key, value in moments.items()}
        if any(part is None for part in partial.values()):
            stale.append(parameter)
            continue
        changed.append((parameter, {key: shrink(moments[key], part) for key, part in partial.items() if part}))
    return changed, stale


def _partial(moment: Tensor, cut: TensorCut) -> TensorCut | None:
    """The cut of a moment whose dimensions are those of the parameter or 1 (factored moments); None otherwise."""
    sizes = tuple(moment.shape)
    if len(sizes) != len(cut.shape) or any(size not in (1, full) for size, full in zip(sizes, cut.shape, strict=True)):
        return None
    return TensorCut(sizes, {dim: kept for dim, kept in cut.keep.items() if sizes[dim] == cut.shape[dim]})
