"""What a deep copy of a model needs besides: tensors without their history, and hooks that find the copy."""

from __future__ import annotations

import copy
import types
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.held_objects import held
from physprune_pl.networks.nested import tensors_in

Memo = dict[int, Any]
"""``id`` of an object -> its copy, as ``copy.deepcopy`` keeps it."""


def without_history(model: nn.Module) -> Memo:
    """Return copies of the tensors that a model keeps with a history, which ``deepcopy`` refuses."""
    kept = [value for value in held(model) if isinstance(value, Tensor) and value.grad_fn is not None]
    return {id(tensor): tensor.detach().clone() for tensor in kept}


def uncopyable(model: nn.Module) -> Memo:
    """Return what modules keep that ``deepcopy`` refuses, for copies to share it."""
    parts = {id(part): part for module in model.modules() for part in (module, *module.parameters(recurse=False))}
    kept = [value for module in model.modules() for name, value in vars(module).items() if name not in _MACHINERY]
    return {id(value): value for value in kept if not _can_copy(value, parts)}


def _can_copy(value: Any, parts: Mapping[int, Any]) -> bool:
    memo = {**parts, **{id(tensor): tensor for tensor in tensors_in(value)}}
    try:
        copy.deepcopy(value, memo)
    except Exception:  # whatever it raises
        return False
    return True


def rebind(module: nn.Module, memo: Memo) -> None:
    """Let the functions that a copied module keeps, as hooks or attributes, find copies where they found originals.

    Args:
        module: the copy.
        memo: what ``deepcopy`` has copied.
    """
    for place in (vars(module), *vars(module).values()):
        if not isinstance(place, dict):
            continue
        for key, value in place.items():
            if isinstance(value, types.FunctionType) and value.__closure__:
                place[key] = _rebound(value, memo)


def _rebound(function: types.FunctionType, memo: Memo) -> types.FunctionType:
    """Return a function with copies of what it has in its closure; itself if nothing there has been copied."""
    if id(function) in memo:
        return memo[id(function)]  # type: ignore[no-any-return]
    cells = function.__closure__ or ()
    result = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(_cell(cell, memo) for cell in cells),
    )
    result.__kwdefaults__, result.__dict__ = function.__kwdefaults__, dict(vars(function))
    memo[id(function)] = result
    return result


def _cell(cell: types.CellType, memo: Memo) -> types.CellType:
    """Return a cell with a copy of its contents."""
    if id(cell) not in memo:
        memo[id(cell)] = own = types.CellType()
        try:
            own.cell_contents = _contents(cell.cell_contents, memo)
        except ValueError:  # nothing has been put in yet
            return own
    return memo[id(cell)]  # type: ignore[no-any-return]


def _contents(value: Any, memo: Memo) -> Any:
    """Return the copy of a value; of what is neither part of the model nor a container, the value itself."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, types.FunctionType):
        return _rebound(value, memo)
    if isinstance(value, types.MethodType):
        return types.MethodType(value.__func__, _contents(value.__self__, memo))
    return copy.deepcopy(value, memo) if isinstance(value, _CONTAINERS) else value


_CONTAINERS = (dict, list, set, tuple, Tensor, Mapping)
_MACHINERY = frozenset(vars(nn.Module()))
