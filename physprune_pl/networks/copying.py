"""What a deep copy of a model needs besides: tensors without their history, and hooks that find the copy."""

from __future__ import annotations

import copy
import traceback
import types
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.held_objects import held, package_of
from physprune_pl.networks.left_out import is_used_up, stand_in_for

Memo = dict[int, Any]
"""``id`` of an object -> its copy, as ``copy.deepcopy`` keeps it."""


def without_history(model: nn.Module) -> Memo:
    """Return copies of the tensors that a model keeps with a history, which ``deepcopy`` refuses."""
    kept = [value for value in held(model) if isinstance(value, Tensor) and value.grad_fn is not None]
    return {id(tensor): tensor.detach().clone() for tensor in kept}


def replacement_for(error: BaseException) -> Memo:
    """Return what a copy is to get in place of what ``deepcopy`` has just refused.

    Iterators, queues and files that are read would be used up if they were shared: something stands in for them, see
    :mod:`~physprune_pl.networks.left_out`. Locks, handles of libraries and the like are shared, each with the thread,
    process or connection that it is a part of.

    Raises:
        BaseException: the error, if nothing was refused.
    """
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code is copy.deepcopy.__code__)
    way = [frame.f_locals[frame.f_code.co_varnames[0]] for frame in frames]
    inside = [one for one in way if not isinstance(one, nn.Module)]
    if not inside:
        raise error
    whole = next((one for one in inside if is_used_up(one) or _is_one_piece(type(one))), inside[-1])
    return {id(whole): stand_in_for(whole) if is_used_up(whole) else whole}


def _is_one_piece(kind: type) -> bool:
    """Whether objects of a class are shared with all that they hold, or copied without any of it."""
    # What a copy would close or end once it is dropped is the original's.
    return hasattr(kind, "__del__") or any(package_of(base) in _RUNNING for base in kind.__mro__)


_RUNNING = frozenset(
    {"asyncio", "concurrent", "multiprocessing", "socket", "ssl", "sqlite3", "subprocess", "threading"}
)
"""Packages of what runs on its own, or is connected to something that does."""


def abandon(memo: Memo) -> None:
    """Let what ``deepcopy`` has begun and not finished be dropped quietly: there is nothing in it yet to be closed."""
    for begun in memo.values():
        if hasattr(type(begun), "__del__"):
            with suppress(TypeError):  # a class of C has no Python code that could miss anything
                begun.__class__ = _Abandoned


class _Abandoned:
    """What is left of a copy that was not finished."""


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
    if is_used_up(value):
        return memo.setdefault(id(value), stand_in_for(value))
    return copy.deepcopy(value, memo) if isinstance(value, _CONTAINERS) else value


_CONTAINERS = (dict, list, set, tuple, deque, Tensor, Mapping)
