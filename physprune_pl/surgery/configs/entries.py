"""The numbers in a config of transformers, those in its lists and in the configs inside it among them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
"""The way to an entry: attributes, then the place in a list, such as ``("vision_config", "hidden_sizes", 1)``."""
Number = int | float
Numbers = dict[Path, Number]

HEAD_SIZES = ("head_dim", "head_size", "attention_head_size", "d_kv", "num_key_value_groups")
"""Entries that say how large a head is: heads go as a whole, so these stay."""

# Ratios of widths lie between these; dropout, scales of norms and bases of angles do not.
_RATIOS = (0.25, 64.0)


def numbers(config: Any) -> Numbers:
    """Return the numbers of a config that may stand for a size or for a ratio of sizes.

    >>> from types import SimpleNamespace
    >>> numbers(SimpleNamespace(to_dict=lambda: {"hidden_size": 8, "sizes": [4, 8], "dropout": 0.1, "mlp_ratio": 2.0}))
    {('hidden_size',): 8, ('sizes', 0): 4, ('sizes', 1): 8, ('mlp_ratio',): 2.0}
    """
    return {path: value for path, value in _entries(config) if _is_number(value)}


def unset(config: Any) -> list[Path]:
    """Return the entries that are None, or may be given though they are not there: they follow from other numbers."""
    found = [path for path, value in _entries(config) if value is None]
    owners = {path[:-1]: None for path, _ in _entries(config) if isinstance(path[-1], str)}
    return list(dict.fromkeys([*found, *((*owner, "head_dim") for owner in owners if not _has(config, owner))]))


def _has(config: Any, owner: Path) -> bool:
    """Return whether a config, or one inside it, says how large a head is."""
    for key in owner:
        config = getattr(config, str(key))
    return getattr(config, "head_dim", None) is not None


def changed(config: Any, values: Mapping[Path, Number | None]) -> Any:
    """Return a config as it would be read from its file, with some entries exchanged."""
    one = copy.deepcopy(config)
    set_entries(one, values)
    # Entries that follow from others are computed when a config is read.
    read = type(config).from_dict(one.to_dict())
    read._attn_implementation = config._attn_implementation
    return read


def set_entries(config: Any, values: Mapping[Path, Number | None]) -> None:
    """Exchange entries of a config, in place."""
    for path, value in values.items():
        *way, last = path
        holder = config
        for key in way if isinstance(last, str) else way[:-1]:
            holder = getattr(holder, str(key))
        if isinstance(last, str):
            setattr(holder, last, value)
        else:
            items = list(getattr(holder, str(way[-1])))
            items[last] = value
            setattr(holder, str(way[-1]), items)


def _entries(config: Any, way: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in config.to_dict().items():
        inner = getattr(config, name, None)
        if name in HEAD_SIZES and value is not None:
            continue
        if isinstance(value, dict):
            if hasattr(inner, "to_dict"):
                yield from _entries(inner, (*way, name))
        elif isinstance(value, list | tuple):
            yield from (((*way, name, place), item) for place, item in enumerate(value) if item is not None)
        else:
            yield (*way, name), value


def _is_number(value: Any) -> bool:
    least, most = _RATIOS
    return (type(value) is int and value > 0) or (type(value) is float and least <= value <= most)
