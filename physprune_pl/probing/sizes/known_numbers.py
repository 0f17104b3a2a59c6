"""Whole numbers in the attributes of modules that know, while a model is watched, which attribute they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from physprune_pl.attention.head_sizes import is_known
from physprune_pl.networks.settings import entries_of, holds_settings, with_entries


class _Known(int):
    """A whole number that knows more than its value."""

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        """Let copies be plain numbers."""
        return int, (int(self),)


class Remembered(_Known):
    """A whole number that knows which attribute it is; of what is computed from it shares and differences alone do.

    >>> width = Remembered.of(12, "layer.width")
    >>> width * 2, -width, (width // 3).of.name, (width - 4).whole.name, type(width // 5).__name__
    (24, -12, 'layer.width', 'layer.width', 'int')
    """

    name: str

    @classmethod
    def of(cls, value: int, name: str) -> Remembered:
        """Mark a number."""
        result = cls(value)
        result.name = name
        return result

    def __neg__(self) -> Remembered:
        return Remembered.of(-int(self), self.name)

    def __sub__(self, other: Any) -> Any:
        return Rest.of(self, other) if isinstance(other, int) and 0 < other < self else int(self) - other

    def __floordiv__(self, other: Any) -> Any:
        even = isinstance(other, int) and other and int(self) % other == 0
        return Share.part(self, int(other)) if even else int(self) // other


class Rest(_Known):
    """What is left of a number that knows which attribute it is: as the size of a part, it tells that of the axis.

    Attributes:
        whole: the size of the axis.
    """

    whole: Remembered

    @classmethod
    def of(cls, whole: Remembered, others: int) -> Rest:
        """Take a number from another one."""
        result = cls(int(whole) - int(others))
        result.whole = whole
        return result


class Share(_Known):
    """An even share of a number that knows which attribute it is: as the size of a part, it tells that of the axis."""

    of: Remembered

    @classmethod
    def part(cls, whole: Remembered, parts: int) -> Share:
        """Share a number out evenly."""
        result = cls(int(whole) // parts)
        result.of = whole
        return result


@contextmanager
def remembered_sizes(model: nn.Module) -> Iterator[None]:
    """Let whole numbers in the attributes of a model know where they come from.

    An object of settings that several modules hold is one place, named by the first of them.
    """
    places = _Places()
    for path, module in model.named_modules():
        if _tells_nothing(module):
            places.mark(vars(module), path, _MACHINERY)
    try:
        yield
    finally:
        places.put_back()


_MACHINERY = frozenset(vars(nn.Module()))
_DEPTH = 3
"""So deep numbers are looked for in containers."""


class _Places:
    """Where numbers have been exchanged for such that know where they come from."""

    def __init__(self) -> None:
        self._changed: list[tuple[dict[str, Any], str, Any]] = []
        self._seen: set[int] = set()

    def mark(self, place: dict[str, Any], path: str, without: Collection[str] = (), depth: int = _DEPTH) -> None:
        """Exchange the numbers in the attributes of a module, or of an object of settings, in place."""
        for name, value in list(place.items()):
            marked = value if name in without else self._marked(value, f"{path}.{name}" if path else name, depth)
            if marked is not value:
                self._changed.append((place, name, value))
                place[name] = marked

    def put_back(self) -> None:
        """Let every attribute be what it was."""
        for place, name, value in reversed(self._changed):
            place[name] = value

    def _marked(self, value: Any, name: str, depth: int) -> Any:
        """Return a number that knows its name, or a container of such; any other value as it is."""
        if type(value) is int and value > 1:
            return Remembered.of(value, name)
        if depth and holds_settings(value) and id(value) not in self._seen:
            self._seen.add(id(value))
            self.mark(vars(value), name, depth=depth - 1)
            return value
        entries = entries_of(value) if depth else {}
        marked = {key: self._marked(item, f"{name}.{key}", depth - 1) for key, item in entries.items()}
        return with_entries(value, marked) if any(marked[key] is not entries[key] for key in entries) else value


def _tells_nothing(module: nn.Module) -> bool:
    """Whether no rule says how the sizes of a module follow from its tensors."""
    own = type(module).__module__.startswith("torch.nn.")
    return not is_known(module) and not (own and any(True for _ in (*module.parameters(), *module.buffers())))
