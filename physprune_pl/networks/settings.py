"""Containers in which modules keep numbers: lists, tuples, dicts, and objects of settings such as dataclasses."""

from __future__ import annotations

import copy
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import SimpleNamespace
from typing import Any

import torch

_DICTS = (dict, OrderedDict)


def holds_settings(value: object) -> bool:
    """Return whether a value is an object that holds settings as attributes: a dataclass or a namespace.

    >>> holds_settings(SimpleNamespace(heads=4)), holds_settings({"heads": 4}), holds_settings(SimpleNamespace)
    (True, False, False)
    """
    plain = type(value) in (SimpleNamespace, Namespace)
    return plain or (is_dataclass(value) and not isinstance(value, type) and hasattr(value, "__dict__"))


def entries_of(value: Any) -> dict[str, Any]:
    """Return what a list, a tuple or a dict of names holds, by number or name; nothing of any other value.

    >>> entries_of([3, 4]), entries_of({"heads": 4}), entries_of("text")
    ({'0': 3, '1': 4}, {'heads': 4}, {})
    """
    if type(value) in _DICTS:
        return dict(value) if all(isinstance(key, str) for key in value) else {}
    named = isinstance(value, tuple) and hasattr(value, "_fields")
    if type(value) in (list, tuple, torch.Size) or named:
        return {str(place): item for place, item in enumerate(value)}
    return {}


def with_entries(value: Any, entries: Mapping[str, Any]) -> Any:
    """Return a container of the same type that holds other entries.

    >>> with_entries((3, 4), {"0": 5, "1": 6})
    (5, 6)
    """
    if type(value) in _DICTS:
        return type(value)(entries)
    return type(value)(*entries.values()) if hasattr(value, "_fields") else type(value)(entries.values())


def with_attributes(value: Any, attributes: Mapping[str, Any]) -> Any:
    """Return a copy of an object of settings with other attributes, whatever it does with those that are set.

    >>> with_attributes(SimpleNamespace(heads=4, name="a"), {"heads": 2})
    namespace(heads=2, name='a')
    """
    own = copy.copy(value)
    vars(own).update(attributes)
    return own
