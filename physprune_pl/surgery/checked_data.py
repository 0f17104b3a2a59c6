"""Plain data of a plan, read with care: what is not as it should be is named before anything is built of it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence, Set
from typing import Any

from physprune_pl.surgery.remembered import Sizes

LATENCY = ("asked", "predicted", "measured", "dense_ms", "pruned_ms", "batch_size")


def shown(value: Any) -> str:
    """A value for a message, cut short: a plan that somebody tampered with may hold anything, of any length."""
    return reprlib.repr(value)


def check_keys(data: Any, keys: Sequence[str], what: str, optional: Set[str] = frozenset()) -> None:
    """Refuse anything but a mapping with these keys, of which some may be left out."""
    if not isinstance(data, Mapping) or set(data) - optional != set(keys):
        got = shown(sorted(map(str, data))) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(f"{what}: expected the keys {sorted(keys)}, got {got}")


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dict, unless a key stands there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands there twice among {shown([key for key, _ in pairs])}")
    return found


def typed(value: Any, kind: type, what: str) -> Any:
    """Return a value unless it is of another kind; a boolean is no number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{what}: expected {kind.__name__}, got {shown(value)}")
    return value


def integers(value: Any, what: str) -> tuple[int, ...]:
    """Return a list of whole numbers as a tuple."""
    return tuple(typed(number, int, what) for number in typed(value, list, what))


def pair_of(value: Any, what: str) -> tuple[int, int]:
    """Return two numbers, dense and pruned."""
    numbers = integers(value, what)
    if len(numbers) != 2 or not 0 <= numbers[1] <= numbers[0]:
        raise ValueError(f"{what}: expected two numbers, dense and pruned, the first no smaller, got {shown(value)}")
    return numbers[0], numbers[1]


def sizes_of_plan(value: Any) -> Sizes:
    """Return what modules remember before and after a cut, by path."""
    pairs = typed(value, dict, "sizes")
    found = {typed(name, str, "sizes"): pair_of(pair, f"sizes: {shown(name)}") for name, pair in pairs.items()}
    for name, (_, after) in found.items():
        if after < 1:
            raise ValueError(f"sizes: {shown(name)}: expected at least 1 after the cut, got {after}")
    return found


def latency_of_plan(value: Any) -> dict[str, float]:
    """Return the figures of a latency target."""
    found: dict[str, float] = typed(value, dict, "latency")
    for name, number in found.items():
        if name not in LATENCY or type(number) not in (int, float) or not 0 <= number < math.inf:
            raise ValueError(f"latency: expected finite numbers {list(LATENCY)}, got {shown({name: number})}")
    return found
