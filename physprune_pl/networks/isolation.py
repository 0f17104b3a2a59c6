"""Running somebody's model without leaving a mark: modes, buffers, random generators and switches are put back."""

from __future__ import annotations

import copy
import random
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from physprune_pl.networks.nested import tensors_in


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy; tensors with a history, such as features a module keeps, are copied without it.

    What cannot be copied is shared. Functions that remember the model, such as hooks, remember the copy.
    """
    memo = _without_history(model)
    try:
        twin = copy.deepcopy(model, memo)
    except Exception:  # whatever an attribute raises that cannot be copied
        memo = {**_without_history(model), **_uncopyable(model)}
        twin = copy.deepcopy(model, memo)
    _remind(twin, memo)
    return twin


def _uncopyable(model: nn.Module) -> dict[int, Any]:
    parts = {id(part): part for module in model.modules() for part in (module, *module._parameters.values())}
    return {id(value): value for value in _kept_values(model) if not _can_copy(value, parts)}


def _can_copy(value: Any, parts: Mapping[int, Any]) -> bool:
    memo = {**parts, **{id(tensor): tensor for tensor in tensors_in(value)}}
    try:
        copy.deepcopy(value, memo)
    except Exception:  # whatever it raises
        return False
    return True


def _remind(twin: nn.Module, memo: dict[int, Any]) -> None:
    """Exchange functions that remember an object by those that remember its copy."""
    for module in twin.modules():
        places = [vars(module), *(value for value in vars(module).values() if isinstance(value, dict))]
        for place in places:
            for key, value in list(place.items()):
                if isinstance(value, FunctionType) and value.__closure__:
                    place[key] = _reminded(value, memo)


def _reminded(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    cells = function.__closure__ or ()
    known = [memo.get(id(cell.cell_contents)) if cell != CellType() else None for cell in cells]
    if all(one is None for one in known):
        return function
    closure = tuple(cell if one is None else CellType(one) for cell, one in zip(cells, known, strict=True))
    fresh = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, closure)
    fresh.__kwdefaults__ = function.__kwdefaults__
    return fresh


def twin(model: nn.Module) -> nn.Module:
    """Return a copy that shares the memory of its parameters, for cuts that put other tensors in their place."""
    plain = [tensor for tensor in model.parameters() if type(tensor) is nn.Parameter]
    shared = {id(tensor): nn.Parameter(tensor.data, tensor.requires_grad) for tensor in plain}
    return copy.deepcopy(model, {**_without_history(model), **_fresh_machinery(model), **shared})


def _fresh_machinery(model: nn.Module) -> dict[int, Any]:
    """Return an empty container for every empty one of a model's modules: copying them one by one is most of a copy."""
    places = [value for module in model.modules() for name, value in vars(module).items() if name in _OWN]
    return {id(place): type(place)() for place in places if type(place) in _CONTAINERS and not place}


def _without_history(model: nn.Module) -> dict[int, Any]:
    leaves = torch.utils._pytree.tree_leaves(_kept_values(model))
    kept = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.grad_fn is not None]
    return {id(tensor): tensor.detach().clone() for tensor in kept}


def _kept_values(model: nn.Module) -> list[Any]:
    """Return what modules keep besides their machinery."""
    return [value for module in model.modules() for name, value in vars(module).items() if name not in _OWN]


class SavedState:
    """What a model holds besides its parameters, to be put back as often as needed.

    That is every buffer and every attribute, with the values of tensors and the contents of lists, dicts and sets;
    what a run adds is taken away again. Objects of other kinds are put back as they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self._kept = [
            (place, own, {name: _keep(value) for name, value in place.items() if name not in own})
            for module in model.modules()
            for place, own in ((_buffers(module), frozenset()), (vars(module), _OWN))
        ]

    def restore(self) -> None:
        """Put everything back: the same objects with the same contents."""
        with torch.no_grad():
            for place, own, kept in self._kept:
                for name in [name for name in place if name not in kept and name not in own]:
                    del place[name]
                place.update({name: put_back() for name, put_back in kept.items()})


def _buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """The dict that holds the buffers of a module; one compiled by TorchScript has none, and can gain no buffer."""
    own = module._buffers
    return own if isinstance(own, dict) else dict(module.named_buffers(recurse=False))


_OWN = frozenset(vars(nn.Module()))
"""Attributes that are the machinery of every module: parameters, submodules, hooks, its mode."""
_CONTAINERS = (dict, OrderedDict, set)


def _keep(value: Any, depth: int = 3) -> Callable[[], Any]:
    """Return a function that gives a value back as it is now, containers in containers down to a depth."""
    if isinstance(value, Tensor):
        return partial(_tensor_back, value, value.detach().clone())
    if depth and isinstance(value, list | deque):
        return partial(_list_back, value, [_keep(item, depth - 1) for item in value])
    if depth and isinstance(value, dict):
        return partial(_dict_back, value, {key: _keep(item, depth - 1) for key, item in value.items()})
    if isinstance(value, set):
        return partial(_set_back, value, set(value))
    return lambda: value


def _tensor_back(tensor: Tensor, values: Tensor) -> Tensor:
    # What has not changed is not written: shared memory and versions stay as they are.
    if tensor.shape == values.shape and not torch.equal(tensor, values):
        tensor.copy_(values)
    return tensor


def _list_back(target: list[Any] | deque[Any], items: list[Callable[[], Any]]) -> list[Any] | deque[Any]:
    values = [item() for item in items]
    target.clear()
    target.extend(values)
    return target


def _dict_back(target: dict[Any, Any], items: dict[Any, Callable[[], Any]]) -> dict[Any, Any]:
    values = {key: item() for key, item in items.items()}
    target.clear()
    target.update(values)
    return target


def _set_back(target: set[Any], items: set[Any]) -> set[Any]:
    target.clear()
    target.update(items)
    return target


@contextmanager
def saved_random_state() -> Iterator[None]:
    """Put the random generators of torch, numpy and Python back on leaving."""
    devices = list(range(torch.cuda.device_count()))
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def seed_everything_inside(seed: int) -> None:
    """Seed all generators; only to be used under :func:`saved_random_state`."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def set_training(model: nn.Module, training: bool) -> Iterator[None]:
    """Switch a model to train or eval mode and put the mode of every module back on leaving."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.train(training)
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention layers take their ordinary path: the fused one hides what it calls."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def run_eagerly(model: nn.Module) -> AbstractContextManager[object]:
    """Compiled parts of a model run as plain Python inside; without such parts the compiler is not even loaded."""
    compiled = any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


@contextmanager
def untouched(model: nn.Module) -> Iterator[SavedState]:
    """Run a model freely inside: gradients off, compiled parts eager, everything put back on leaving."""
    saved = SavedState(model)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(saved_random_state())
        stack.enter_context(_plain_attention())
        stack.enter_context(run_eagerly(model))
        stack.enter_context(warnings.catch_warnings())
        # Hooks that name the running module are called twice around a compiled one, which does no harm.
        warnings.filterwarnings("ignore", "Using `torch.compile", UserWarning)
        stack.enter_context(set_training(model, model.training))
        try:
            yield saved
        finally:
            saved.restore()


@contextmanager
def unwritten(tensors: Mapping[str, Tensor], written: Collection[str]) -> Iterator[None]:
    """Put back what a run writes to: other networks may share its memory."""
    own = {name: tensors[name].data for name in written}
    try:
        for name, values in own.items():
            tensors[name].data = values.clone()
        yield
    finally:
        for name, values in own.items():
            tensors[name].data = values
