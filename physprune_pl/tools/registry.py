"""Names for objects: what a configuration may write instead of a force law, a strength, a distance or a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from physprune_pl.tools.choices import unknown

T = TypeVar("T")


def named(argument: str, name: str, makers: Mapping[str, Callable[[], T]]) -> T:
    """Return a new object of that name.

    Raises:
        ValueError: for an unknown name; the message names the argument, lists the choices and says which may be meant.

    >>> named("number", "one", {"one": lambda: 1})
    1
    """
    if name not in makers:
        raise ValueError(unknown(argument, name, sorted(makers)))
    return makers[name]()


def named_or_given(argument: str, value: object, kind: type[T], makers: Mapping[str, Callable[[], T]]) -> T:
    """Return an object of a kind as it is, or make the one of that name.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything that is neither a name nor an object of the kind.

    >>> named_or_given("number", 2, int, {"one": lambda: 1}), named_or_given("number", "one", int, {"one": lambda: 1})
    (2, 1)
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected a name or a {kind.__name__} object, got {value!r}")
    return named(argument, value, makers)
