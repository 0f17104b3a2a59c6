"""What a model holds: everything that hangs on its modules and that a run may change."""

from __future__ import annotations

import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)

_LONG = 10_000
"""Nobody looks into the entries of containers with more of them."""


def held(model: nn.Module, everybodys: bool = False) -> Iterator[Any]:
    """Yield once each what modules, attributes, containers, hooks and objects of a model hold and may change.

    Args:
        model: the model.
        everybodys: whether to look into objects of all packages but Python's, torch's and Lightning's own; else only
            into those from where the class of their module comes from.
    """
    # An object that nobody held any longer would hand its id on to another one.
    seen: dict[int, object] = {}
    for module in model.modules():
        home = package_of(type(module))
        waiting: list[Any] = [module]
        while waiting:
            value = waiting.pop()
            kind: Any = type(value)
            if kind in _PLAIN or id(value) in seen or not _matters(kind, home, everybodys):
                continue
            seen[id(value)] = value
            yield value
            waiting.extend(_inside(kind)(value))


@lru_cache(1024)
def _matters(kind: Any, home: str, everybodys: bool) -> bool:
    """Whether values of a kind may change and are the business of a model; ``home`` is the package of its module."""
    if issubclass(kind, _HOLDING):
        return True
    own = is_dataclass(kind) or issubclass(kind, types.SimpleNamespace) or package_of(kind) == home
    own = own or (everybodys and package_of(kind) not in _CLOSED)
    return own and any("__dict__" in vars(base) for base in kind.__mro__) and not issubclass(kind, _FOREIGN)


@lru_cache(1024)
def _inside(kind: Any) -> Callable[[Any], Iterable[Any]]:
    """Return what tells what a value of a kind holds."""
    return next((inside for kinds, inside in _INSIDE if issubclass(kind, kinds)), _of_object)


def _class_of(value: object) -> Any:
    return type(value)


def package_of(kind: Any) -> str:
    """Return the name of the package that a class is from."""
    return str(kind.__module__).partition(".")[0]


def _few(values: Any) -> Iterable[Any]:
    return list(values) if 0 < len(values) <= _LONG else ()


def _of_object(value: Any) -> Iterable[Any]:
    return [*_few(vars(value).values()), *_classes(_class_of(value))]


def _of_module(module: nn.Module) -> Iterable[Any]:
    # One that TorchScript has compiled has no dict of buffers, and can gain none.
    scripted = () if isinstance(module._buffers, dict) else [buffer for _, buffer in module.named_buffers()]
    return [*vars(module).values(), *scripted, *_classes(_class_of(module))]


def _of_cell(cell: types.CellType) -> Iterable[Any]:
    return () if is_empty(cell) else (cell.cell_contents,)


def is_empty(cell: types.CellType) -> bool:
    """Return whether nothing has been put into the variable of a function yet."""
    try:
        return cell.cell_contents is cell
    except ValueError:
        return True


@lru_cache(1024)
def _classes(kind: Any) -> tuple[type, ...]:
    """Return a class and the bases that come from where it comes from; none of those of libraries."""
    home = package_of(kind)
    return () if home in _LIBRARIES else tuple(base for base in kind.__mro__ if package_of(base) == home)


def plain_attributes(kind: type) -> list[tuple[str, Any]]:
    """Return the attributes of a class that are plain data: counters, tables and flags."""
    return [(name, value) for name, value in vars(kind).items() if type(value) in _DATA and not name.startswith("__")]


_LIBRARIES = ("builtins", "torch", "torchvision", "collections", "functools")
_CLOSED = sys.stdlib_module_names | {"torch", "torchvision", "lightning", "lightning_fabric", "pytorch_lightning"}
_PLAIN = frozenset({int, float, bool, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size})
_DATA = frozenset({int, float, bool, str, type(None), list, dict, set, tuple, OrderedDict, deque, Tensor})
_FOREIGN = (types.ModuleType, types.BuiltinFunctionType, torch.utils.data.Dataset)
_INSIDE: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    ((Tensor, np.ndarray, *GENERATORS), lambda _: ()),
    (dict, lambda value: _few(value.values())),
    ((list, deque, set, tuple), _few),
    (nn.Module, _of_module),
    (types.FunctionType, lambda value: value.__closure__ or ()),
    (types.CellType, _of_cell),
    (types.MethodType, lambda value: (value.__self__, value.__func__)),
    (partial, lambda value: (value.func, *value.args, value.keywords)),
    (type, lambda value: [inner for _, inner in plain_attributes(value)]),
)
_HOLDING = tuple(kind for kinds, _ in _INSIDE for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
