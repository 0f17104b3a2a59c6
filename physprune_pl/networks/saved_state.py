"""What a model holds, to be put back after somebody else has run it: attributes, containers, hooks, generators."""

from __future__ import annotations

import random
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import is_
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from physprune_pl.networks.held_objects import GENERATORS, held, is_empty, plain_attributes


class SavedState:
    """What a model holds besides the values of its parameters, to be put back as often as needed.

    That is every attribute of every module, hooks, buffers and submodules among them, but for the mode; the contents
    of lists, dicts and sets, however deep; the values of tensors and arrays; generators; the attributes of objects and
    classes that come from where the class of a module comes from; what functions that serve as hooks have in their
    closures. What a run adds is taken away again.
    """

    def __init__(self, model: nn.Module) -> None:
        kept = [kept for value in held(model) if (kept := _kept(value)) is not None]
        self._attributes = [one for one in kept if isinstance(one, _Dict | _Module)]
        self._others = [one for one in kept if not isinstance(one, _Dict | _Module)]
        self._dicts = _Dicts([one.target for one in self._attributes])

    def restore(self) -> None:
        """Put everything back: the same objects with the same contents."""
        with torch.no_grad():
            for kept in self._others if self._dicts.same() else (*self._attributes, *self._others):
                kept.put_back()


class SavedParameters:
    """Values, gradients and ``requires_grad`` of a model's parameters, to be put back once."""

    def __init__(self, model: nn.Module) -> None:
        parameters = [one for one in model.parameters() if not is_lazy(one)]
        self._values = [(one, one.data, one.detach().clone()) for one in parameters]
        self._grads = [(one, one.grad, None if one.grad is None else one.grad.clone()) for one in parameters]
        self._flags = [(one, one.requires_grad) for one in parameters]

    def restore(self) -> None:
        """Put back what differs; from then on nothing is kept."""
        with torch.no_grad():
            for parameter, data, values in self._values:
                if parameter.data_ptr() != data.data_ptr() or parameter.shape != data.shape:
                    parameter.data = data
                _write_back(parameter.data, values)
            for parameter, grad, before in self._grads:
                if grad is not None and before is not None:
                    _write_back(grad, before)
                if parameter.grad is not grad:
                    parameter.grad = grad
        for parameter, flag in self._flags:
            if parameter.requires_grad is not flag:
                parameter.requires_grad_(flag)
        # A copy of all values is as large as the model.
        self._values, self._grads = [], []


class SavedModel(SavedState):
    """All that a model holds.

    Attributes:
        parameters: the values of its parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.parameters = SavedParameters(model)


class _Kept(Protocol):
    def put_back(self) -> None:
        """Put one thing back."""


def _kept(value: Any) -> _Kept | None:
    """Return what puts a value back; None for what holds other things and cannot change itself."""
    kind: Any = type(value)
    keeper = _keeper(kind)
    # A parameter may be a tensor of any class that says it is one.
    if keeper is None or (isinstance(value, Tensor) and isinstance(value, nn.Parameter)):
        return None
    return keeper(value)


@lru_cache(1024)
def _keeper(kind: Any) -> Callable[[Any], _Kept] | None:
    if issubclass(kind, _UNCHANGING):
        return None
    return next((keeper for kinds, keeper in _KEPT if issubclass(kind, kinds)), _of_object)


def _of_object(value: Any) -> _Kept:
    return _Dict(vars(value))


class _Dicts:
    """Knows whether any of many dicts, attributes of modules among them, has changed: most of them never do."""

    def __init__(self, dicts: Sequence[dict[Any, Any]]) -> None:
        self._empty = [place for place in dicts if not place]
        self._full = [place for place in dicts if place]
        self._keys, self._values = self._now()
        self._modes = [place for place, key in enumerate(self._keys) if key == "training"]

    def same(self) -> bool:
        """Whether all have the keys and the values that they had, but for the modes of modules."""
        if any(self._empty):
            return False
        keys, values = self._now()
        if keys != self._keys:
            return False
        for place in self._modes:
            values[place] = self._values[place]
        return all(map(is_, values, self._values))

    def _now(self) -> tuple[list[Any], list[Any]]:
        full = self._full
        return list(chain.from_iterable(full)), list(chain.from_iterable(place.values() for place in full))


class _Dict:
    def __init__(self, target: dict[Any, Any]) -> None:
        self.target, self._items = target, dict(target)

    def put_back(self) -> None:
        target, items = self.target, self._items
        if len(target) == len(items) and all(map(is_, target.values(), items.values())) and [*target] == [*items]:
            return
        # Classes of their own may have forbidden what a dict does.
        kind: Any = OrderedDict if isinstance(target, OrderedDict) else dict
        kind.clear(target)
        for key, value in items.items():
            kind.__setitem__(target, key, value)


class _Module:
    """The attributes of a module but for its mode, which whoever runs the model switches."""

    def __init__(self, module: nn.Module) -> None:
        self.target = vars(module)
        self._items = dict(self.target)

    def put_back(self) -> None:
        mode = self.target.get("training")
        if len(self.target) != len(self._items) or not all(
            self.target.get(name, self) is value or name == "training" for name, value in self._items.items()
        ):
            self.target.clear()
            self.target.update({**self._items, "training": mode})


class _Sequence:
    def __init__(self, target: list[Any] | deque[Any]) -> None:
        self._target, self._items = target, list(target)

    def put_back(self) -> None:
        if len(self._target) != len(self._items) or not all(map(is_, self._target, self._items)):
            self._target.clear()
            self._target.extend(self._items)


class _Set:
    def __init__(self, target: set[Any]) -> None:
        self._target, self._items = target, set(target)

    def put_back(self) -> None:
        if self._target != self._items:
            self._target.clear()
            self._target.update(self._items)


class _Cell:
    """A variable that a function has from where it was written."""

    def __init__(self, cell: types.CellType) -> None:
        self._cell, self._empty = cell, is_empty(cell)
        self._contents = None if self._empty else cell.cell_contents

    def put_back(self) -> None:
        if not self._empty:
            self._cell.cell_contents = self._contents


class _Class:
    """The plain attributes of a class: counters, tables and flags that all of its instances share."""

    def __init__(self, kind: type) -> None:
        self._kind, self._values = kind, dict(plain_attributes(kind))

    def put_back(self) -> None:
        now = dict(plain_attributes(self._kind))
        for name in now.keys() - self._values.keys():
            delattr(self._kind, name)
        for name, value in self._values.items():
            if now.get(name, self) is not value:
                setattr(self._kind, name, value)


class _Tensor:
    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._values = tensor, tensor.detach().clone()

    def put_back(self) -> None:
        if self._tensor.shape != self._values.shape:
            self._tensor.data = self._values.clone()
        _write_back(self._tensor, self._values)


class _Array:
    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array, self._values = array, array.copy()

    def put_back(self) -> None:
        if self._array.shape == self._values.shape and not np.array_equal(self._array, self._values):
            self._array[...] = self._values


class _Generator:
    """A generator of random numbers, of torch, Python or numpy."""

    def __init__(self, generator: Any) -> None:
        self._read, self._write = _access(generator)
        self._state = self._read()

    def put_back(self) -> None:
        self._write(self._state)


def _access(generator: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Return what reads and what writes the state of a generator."""
    if isinstance(generator, np.random.Generator):
        source = generator.bit_generator
        return partial(getattr, source, "state"), partial(setattr, source, "state")
    names = ("getstate", "setstate") if isinstance(generator, random.Random) else ("get_state", "set_state")
    return getattr(generator, names[0]), getattr(generator, names[1])


def _write_back(tensor: Tensor, values: Tensor) -> None:
    # What has not changed is not written: shared memory and versions stay as they are.
    if not _equal(tensor, values):
        tensor.copy_(values)


def _equal(tensor: Tensor, values: Tensor) -> bool:
    return tensor.is_meta or torch.equal(tensor, values)


_UNCHANGING = (nn.Parameter, tuple, types.FunctionType, types.MethodType, partial)
_KEPT: tuple[tuple[Any, Callable[[Any], _Kept]], ...] = (
    (Tensor, _Tensor),
    (dict, _Dict),
    ((list, deque), _Sequence),
    (set, _Set),
    (nn.Module, _Module),
    (types.CellType, _Cell),
    (np.ndarray, _Array),
    (GENERATORS, _Generator),
    (type, _Class),
)
