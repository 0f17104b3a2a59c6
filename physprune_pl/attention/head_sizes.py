"""Which attention modules remember their heads, where, and by which class they are exchanged before a cut.

Most modules need no entry: attributes with the usual names, such as ``num_heads``, follow the rows of the first
projection. An entry is for other names, and for classes that derive the head size from the width of their input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from torch import Tensor, nn

Shapes = Mapping[int, tuple[int, ...]]

COUNTS = frozenset(
    (
        *("num_heads", "n_heads", "n_head", "nhead", "heads", "num_attention_heads", "attention_heads"),
        *("num_kv_heads", "n_kv_heads", "kv_heads", "num_key_value_heads", "num_q_heads", "num_query_heads"),
        *("all_head_size", "attn_dim", "attention_dim", "inner_dim", "kv_dim", "q_dim", "qk_dim", "v_dim"),
    )
)
"""Attributes that are proportional to the number of heads wherever they appear."""


@dataclass(frozen=True)
class HeadSizes:
    """How a class of attention modules remembers sizes.

    Attributes:
        rows: path of the parameter, inside the module, whose rows are proportional to the heads; the first that the
            module has counts.
        counts: attributes that are proportional to the number of heads.
        widths: attribute -> (path of a parameter, dimension) whose size it repeats.
        entries: attribute that is a tuple -> (which of its entries, path of a parameter, dimension) whose size that
            entry repeats.
        fixed: attributes that take a certain value with the first cut.
        stand_in: returns the class to exchange the module's class for; None where none is needed.
    """

    rows: tuple[str, ...]
    counts: Collection[str] = COUNTS
    widths: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    entries: Mapping[str, tuple[int, str, int]] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    stand_in: Callable[[], type[nn.Module]] | None = None


_KNOWN: dict[str, HeadSizes] = {}


def register_attention(kind: type[nn.Module] | str, sizes: HeadSizes) -> None:
    """Say how an attention class remembers its heads; a later entry replaces an earlier one.

    Args:
        kind: the class, or its full name where importing it only for this would be a waste. Subclasses need their own
            entry: they may compute something else.
        sizes: its attributes.

    Example:
        >>> class Mine(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.how_many, self.to_all, self.out = 4, nn.Linear(8, 24), nn.Linear(8, 8)
        >>> register_attention(Mine, HeadSizes(rows=("to_all.weight",), counts=("how_many",)))
        >>> mine = Mine()
        >>> remembered(mine, {id(mine.to_all.weight): (12, 8)})
        {'how_many': 2}
    """
    _KNOWN[kind if isinstance(kind, str) else _full_name(kind)] = sizes


def remembered(module: nn.Module, shapes: Shapes, found: Collection[str] = ()) -> dict[str, Any]:
    """Return the attributes of an attention module, its class among them, once its parameters have new shapes.

    Args:
        module: any module; one that is no attention has nothing to change.
        shapes: ``id`` of a parameter -> its new shape.
        found: attributes of which somebody knows better what they become.

    Raises:
        ValueError: the new shape holds no whole number of heads.
    """
    known = _KNOWN.get(_full_name(type(module)))
    rows = _first(module, known.rows) if known else next(matrices(module), None)
    parts = module.parameters() if known else _near(module)
    if rows is None or not any(id(parameter) in shapes for parameter in parts):
        return {}
    sizes = known or HeadSizes(())
    before, after = rows.shape[0], shapes.get(id(rows), rows.shape)[0]
    counts = _counts(module, frozenset(sizes.counts) - frozenset(found), before, after, sure=known is not None)
    changed = {**sizes.fixed, **counts, **_widths(module, sizes.widths, shapes)}
    changed |= _entries(module, sizes.entries, shapes)
    return changed if sizes.stand_in is None else {**changed, "__class__": sizes.stand_in()}


@contextmanager
def by_head(model: nn.Module) -> Iterator[None]:
    """Let every known attention module run as the class that can be cut, and give it its own back on leaving."""
    own = [(module, type(module), _KNOWN.get(_full_name(type(module)))) for module in model.modules()]
    try:
        for module, _, known in own:
            if known is not None and known.stand_in is not None:
                module.__class__ = known.stand_in()
        yield
    finally:
        for module, kind, _ in own:
            module.__class__ = kind


def is_known(module: nn.Module) -> bool:
    """Return whether somebody has said how a module remembers its heads."""
    return _full_name(type(module)) in _KNOWN


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _counts(module: nn.Module, names: Collection[str], before: int, after: int, sure: bool) -> dict[str, Any]:
    """Return what becomes of numbers of heads; what only its name makes one need not be."""
    changed = {}
    for name in sorted(names) if before != after else ():
        value = getattr(module, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            if value * after % before and not sure:
                continue
            if value * after % before:
                raise ValueError(f"{name}: {after} of {before} rows of a projection hold no whole part of {value}")
            changed[name] = value * after // before
    return changed


def _widths(module: nn.Module, widths: Mapping[str, tuple[str, int]], shapes: Shapes) -> dict[str, int]:
    found = {name: (_first(module, (path,)), dim) for name, (path, dim) in widths.items()}
    return {
        name: shapes.get(id(tensor), tensor.shape)[dim] for name, (tensor, dim) in found.items() if tensor is not None
    }


def _entries(
    module: nn.Module, entries: Mapping[str, tuple[int, str, int]], shapes: Shapes
) -> dict[str, tuple[int, ...]]:
    sizes = _widths(module, {name: (path, dim) for name, (_, path, dim) in entries.items()}, shapes)
    return {name: _replaced(getattr(module, name), entries[name][0], size) for name, size in sizes.items()}


def _replaced(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*values[:place], value, *values[place + 1 :])


def _first(module: nn.Module, paths: tuple[str, ...]) -> Tensor | None:
    parameters = dict(module.named_parameters())
    return next((parameters[path] for path in paths if path in parameters), None)


def _near(module: nn.Module) -> Iterator[Tensor]:
    """Yield the parameters right below a module, then its own: those may be tables and tokens."""
    below = (part.parameters(recurse=False) for part in module.children())
    yield from chain(*below, module.parameters(recurse=False))


def matrices(module: nn.Module) -> Iterator[Tensor]:
    """Yield the weights of a module that has attributes with the names of numbers of heads; its heads are in one."""
    if any(isinstance(getattr(module, name, None), int) for name in COUNTS if _may_have(module, name)):
        yield from (tensor for tensor in _near(module) if tensor.dim() > 1)


def _may_have(module: nn.Module, name: str) -> bool:
    """Return whether a module may have an attribute; to ask a module for one that it has not takes long."""
    own = type(module).__getattr__ is nn.Module.__getattr__
    return not own or name in vars(module) or hasattr(type(module), name)
