"""Tensors wherever they are: in containers, dataclasses and objects of any class."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")

_PLAIN = (str, bytes, int, float, type(None), slice, torch.dtype, torch.device, type)
"""What holds no tensors that a call works on."""
SHARED = (nn.Module, Dataset, DataLoader)
"""What stays the same object in a copy, with all the tensors that it holds."""
_LEAVES = (Tensor, *SHARED)


def tensors_in(value: object) -> list[Tensor]:
    """Return all tensors in nested containers, dataclasses and plain objects.

    >>> [tuple(t.shape) for t in tensors_in({"a": torch.zeros(2), "b": [torch.zeros(3), "text"]})]
    [(2,), (3,)]
    """
    return [leaf for leaf in _leaves(value) if isinstance(leaf, Tensor)]


def shared_in(value: object) -> list[Any]:
    """Return all modules, data sets and loaders in nested containers, dataclasses and plain objects."""
    return [leaf for leaf in _leaves(value) if not isinstance(leaf, Tensor)]


def mapped(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """Return a copy in which every tensor is changed, whatever holds it; modules, data sets and loaders are shared.

    What cannot be copied, such as a generator, is shared too.

    >>> mapped({"a": torch.zeros(2), "b": "text"}, lambda tensor: tensor + 1)
    {'a': tensor([1., 1.]), 'b': 'text'}
    """
    leaves = {id(leaf): leaf for leaf in _leaves(value)}
    changed = {key: change(leaf) if isinstance(leaf, Tensor) else leaf for key, leaf in leaves.items()}
    copied: T = _copied(value, changed)
    return copied


def _copied(value: Any, changed: Mapping[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, dict(changed))
    except Exception:  # whatever an object raises that cannot be copied
        pass
    if torch.utils._pytree.tree_is_leaf(value):
        return _rebuilt(value, changed)
    return torch.utils._pytree.tree_map_only(object, partial(_copied, changed=changed), value, _is_part_of(value))


def _is_part_of(whole: object) -> Callable[[Any], bool]:
    return lambda part: part is not whole


def _rebuilt(value: Any, changed: Mapping[int, Any]) -> Any:
    """Return a new object with copies of what another one holds; itself if it holds nothing that could be copied."""
    if isinstance(value, Mapping):
        return type(value)({key: _copied(item, changed) for key, item in value.items()})  # type: ignore[call-arg]
    if not hasattr(value, "__dict__") or not any(id(leaf) in changed for leaf in _leaves(value)):
        return value
    twin = object.__new__(type(value))
    vars(twin).update({name: _copied(item, changed) for name, item in vars(value).items()})
    return twin


def _leaves(value: object) -> list[Any]:
    found: list[Any] = []
    _collect(value, found, set())
    return found


def _collect(value: object, found: list[Any], seen: set[int]) -> None:
    """Collect tensors and what is shared, each as often as it is met; no other object is entered twice."""
    if isinstance(value, _LEAVES):
        found.append(value)
    elif not isinstance(value, _PLAIN) and id(value) not in seen:
        seen.add(id(value))
        for item in _inside(value):
            _collect(item, found, seen)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset | deque):
        return value
    slots = [name for kind in type(value).__mro__ for name in _names(kind.__dict__.get("__slots__", ()))]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots
