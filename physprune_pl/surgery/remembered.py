"""Numbers that modules remember of sizes, as a plan carries them and as modules get them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from physprune_pl.attention.head_sizes import COUNTS
from physprune_pl.networks.names import plain
from physprune_pl.networks.settings import entries_of, holds_settings, with_attributes, with_entries
from physprune_pl.structure import RememberedSize

Sizes = dict[str, tuple[int, int]]
"""Path of an attribute, or of an entry of one -> its number before and after a cut."""
Owner = tuple[nn.Module, str, tuple[str, ...]]


def planned_sizes(sizes: Iterable[RememberedSize], removed: Collection[tuple[str, int]]) -> Sizes:
    """Return what becomes of the numbers that modules remember once channels of groups are gone.

    Those that stay as they are count where their name alone would say something else.

    Raises:
        ValueError: a number stands for several sizes that become different.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    for size in sizes:
        found.setdefault(size.name, set()).add((size.value, size.after(removed)))
    for name, values in found.items():
        if len(values) > 1:
            after = sorted(number for _, number in values)
            raise ValueError(f"{name}: it is the size of several things, which become {after} channels wide")
    return {name: pair for name, (pair,) in found.items() if _matters(name, pair)}


def _matters(name: str, pair: tuple[int, int]) -> bool:
    """Return whether a number changes, or its name alone would say that it does."""
    return pair[0] != pair[1] or not COUNTS.isdisjoint(name.rpartition(".")[2:])


def changed_numbers(before: nn.Module, after: nn.Module) -> Sizes:
    """Return the numbers that the modules of two networks of one structure hold, where they matter for a cut."""
    others = numbers_of(after)
    pairs = {name: (value, others.get(name, value)) for name, value in numbers_of(before).items()}
    return {name: pair for name, pair in pairs.items() if _matters(name, pair)}


def size_changes(model: nn.Module, sizes: Mapping[str, tuple[int, int]]) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Return the attributes of each module that are to hold the second number of each pair.

    Raises:
        ValueError: an attribute is not there, or holds neither of the two numbers.
    """
    modules = {plain(name): module for name, module in model.named_modules(remove_duplicate=False)}
    changed: dict[tuple[int, str], tuple[nn.Module, Any]] = {}
    for name, (before, after) in sizes.items():
        module, attribute, place = _owner(modules, name)
        _, value = changed.get((id(module), attribute), (module, vars(module).get(attribute)))
        if _entry(value, place) not in (before, after):
            raise ValueError(f"plan: {name!r} was planned as {before}, the model has {_entry(value, place)}")
        changed[id(module), attribute] = (module, _with_entry(value, place, after))
    known = [
        (module, {attribute: value, **_dicts_of(module, attribute, value)})
        for (_, attribute), (module, value) in changed.items()
    ]
    return [*known, *_of_other_holders(modules.values(), changed)]


def _of_other_holders(
    modules: Iterable[nn.Module], changed: Mapping[tuple[int, str], tuple[nn.Module, Any]]
) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
    """Yield what other modules get that hold one of the objects of settings too: all see the same copy of it."""
    copies: dict[int, Any] = {}
    for (_, attribute), (module, value) in changed.items():
        copies |= {id(old): new for old, new in _exchanged(vars(module)[attribute], value)}
    for module in modules if copies else ():
        own = {name: copies[id(one)] for name, one in vars(module).items() if id(one) in copies}
        if own:
            yield module, own


def _exchanged(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the objects of settings in nested containers that differ, and what they are exchanged for."""
    if old is new or (not holds_settings(old) and not entries_of(old)):
        return
    if holds_settings(old):
        yield old, new
    for one, other in zip(_entries(old).values(), _entries(new).values(), strict=True):
        yield from _exchanged(one, other)


def _dicts_of(module: nn.Module, attribute: str, value: Any) -> dict[str, Any]:
    """Return the dicts of which an attribute is the items, with those that it gets: copies are made of the dicts."""
    if not isinstance(value, tuple) or not all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return {}
    items = vars(module)[attribute]
    return {
        name: dict(value) for name, one in vars(module).items() if type(one) is dict and tuple(one.items()) == items
    }


def _owner(modules: Mapping[str, nn.Module], name: str) -> Owner:
    """Return the module that an attribute belongs to, its name, and the way to an entry inside it."""
    parts = name.split(".")
    for length in range(len(parts) - 1, -1, -1):
        module = modules.get(".".join(parts[:length]))
        if module is not None and not parts[length].startswith("__") and parts[length] in vars(module):
            return module, parts[length], tuple(parts[length + 1 :])
    raise ValueError(f"plan: {name!r} is no attribute of a module of the model")


def _entry(value: Any, place: Sequence[str]) -> int | None:
    """Return the number at a place in nested containers; None if there is none."""
    for key in place:
        entries = _entries(value)
        if key not in entries:
            return None
        value = entries[key]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _entries(value: Any) -> dict[str, Any]:
    return vars(value) if holds_settings(value) else entries_of(value)


def _with_entry(value: Any, place: Sequence[str], number: int) -> Any:
    """Return a number, or a copy of nested containers with one exchanged."""
    if not place:
        return number
    inner = _with_entry(_entries(value)[place[0]], place[1:], number)
    if holds_settings(value):
        return with_attributes(value, {place[0]: inner})
    return with_entries(value, {**_entries(value), place[0]: inner})


def numbers_of(model: nn.Module) -> dict[str, int]:
    """Return the whole numbers that modules hold in attributes, and in lists, tuples and dicts there, by their path.

    >>> layer = nn.Linear(3, 2)
    >>> layer.widths = [2, 4]
    >>> numbers_of(nn.Sequential(layer))
    {'0.in_features': 3, '0.out_features': 2, '0.widths.0': 2, '0.widths.1': 4}
    """
    modules = ((plain(name), module) for name, module in model.named_modules())
    return {
        ".".join((*([name] if name else []), path)): number
        for name, module in modules
        for attribute, value in vars(module).items()
        if not attribute.startswith("_") and not isinstance(value, nn.Module)
        for path, number in _numbers_in(attribute, value)
    }


def _numbers_in(path: str, value: Any) -> Iterator[tuple[str, int]]:
    if type(value) is int:
        yield path, value
    for key, item in _entries(value).items():
        yield from _numbers_in(f"{path}.{key}", item)


def mirror_sizes(model: nn.Module, like: nn.Module) -> None:
    """Give a model the numbers and the classes of the modules of another one of the same structure."""
    others = {plain(name): module for name, module in like.named_modules(remove_duplicate=False)}
    for name, module in model.named_modules(remove_duplicate=False):
        other = others.get(plain(name), module)
        module.__class__ = type(other)
        for attribute, value in vars(other).items():
            own = vars(module).get(attribute)
            if attribute != "training" and _is_size(value) and type(own) is type(value) and own != value:
                setattr(module, attribute, value)


def _is_size(value: Any) -> bool:
    """Whether a value is a whole number, or containers of nothing but such, and of names for them."""
    items = [item for item in _entries(value).values() if type(item) is not str]
    return type(value) is int or (bool(items) and all(map(_is_size, items)))
