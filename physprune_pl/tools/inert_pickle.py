"""Reading a pickle without running anything of it: what is no plain data comes out as a stand-in that does nothing."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class StandIn(type):
    """Stands for a class or function that a pickle names, and for all that would have come out of it.

    It is a class since a pickle may ask for instances of it, and it is its own instance: whatever a pickle does to it,
    calling it, creating from it, giving it a state or items, leaves it as it is.

    Attributes:
        origin: the name in the pickle, with its module.

    >>> partial = StandIn("functools.partial")
    >>> partial(print, end="") is partial, partial.origin
    (True, 'functools.partial')
    """

    origin: str

    def __new__(cls, origin: str) -> StandIn:
        """Return one with a name."""
        return super().__new__(cls, origin, (), {"__new__": lambda kind, *_, **__: kind, "origin": origin})

    def __init__(cls, origin: str) -> None:
        super().__init__(origin, (), {})

    def __repr__(cls) -> str:
        return f"<stand-in for {cls.origin}>"

    def __call__(cls, *_: Any, **__: Any) -> Any:
        """Return itself."""
        return cls

    def __setstate__(cls, state: Any) -> None:
        """Ignore what a pickle gives as the state of an object."""

    def __setitem__(cls, key: Any, value: Any) -> None:
        """Ignore what a pickle puts into a mapping."""

    def append(cls, item: Any) -> None:
        """Ignore what a pickle puts into a list."""

    def extend(cls, items: Any) -> None:
        """Ignore what a pickle puts into a list."""

    def add(cls, item: Any) -> None:
        """Ignore what a pickle puts into a set."""


class Maker(StandIn):
    """A stand-in that a call, and nothing else, makes something of."""

    make: Callable[..., Any]

    def __new__(cls, origin: str, make: Callable[..., Any]) -> Maker:
        """Return one that calls ``make``."""
        kind = super().__new__(cls, origin)
        kind.make = staticmethod(make)  # type: ignore[attr-defined]
        return kind  # type: ignore[return-value]

    def __init__(cls, origin: str, make: Callable[..., Any]) -> None:  # noqa: ARG002
        super().__init__(origin)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return what ``make`` does."""
        return cls.make(*args, **kwargs)


class InertUnpickler(pickle.Unpickler):
    """Reads a pickle of which no class or function is ever imported, let alone called.

    Args:
        data: the pickle.
        makers: what to call in place of a name in the pickle, as ``module.name``; everything else is a stand-in.
        stored: gives an object that the pickle refers to by a persistent id.

    Raises:
        ValueError: the pickle uses extension codes, which may stand for anything.

    >>> InertUnpickler(pickle.dumps({"size": 3, "call": print})).load()
    {'size': 3, 'call': <stand-in for builtins.print>}
    """

    def __init__(
        self,
        data: bytes,
        makers: Mapping[str, Callable[..., Any]] | None = None,
        stored: Callable[[Any], Any] | None = None,
    ) -> None:
        if any(opcode.name.startswith("EXT") for opcode, _, _ in pickletools.genops(data)):
            raise ValueError("the pickle uses extension codes")
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._known: dict[str, StandIn] = {name: Maker(name, make) for name, make in (makers or {}).items()}
        self._stored = stored

    def find_class(self, module: str, name: str) -> StandIn:
        """Return what stands for a name; nothing is imported."""
        origin = f"{module}.{name}"
        return self._known.setdefault(origin, StandIn(origin))

    def persistent_load(self, pid: Any) -> Any:
        """Return what a persistent id refers to."""
        return StandIn("persistent id") if self._stored is None else self._stored(pid)


def stand_ins(value: Any) -> Iterator[StandIn]:
    """Yield the stand-ins in a value, in its lists, tuples and dicts.

    >>> [one.origin for one in stand_ins({"a": [1, StandIn("b.C")]})]
    ['b.C']
    """
    todo, seen = [value], set[int]()  # a pickle may hold a list that holds itself
    while todo:
        part = todo.pop()
        if isinstance(part, StandIn):
            yield part
        elif isinstance(part, dict | list | tuple) and id(part) not in seen:
            seen.add(id(part))
            todo += [*part, *part.values()] if isinstance(part, dict) else part
