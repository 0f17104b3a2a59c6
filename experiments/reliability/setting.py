"""One row of the matrix of settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """A setting of a fit, and what holds under it.

    Attributes:
        name: of the setting.
        checked: what ``check`` makes sure of.
        check: runs the fit, given a folder for its files; returns what it found, in a few words, and raises an
            AssertionError where something does not hold.
        slow: whether it takes longer than a few seconds.
    """

    name: str
    checked: str
    check: Callable[[Path], str]
    slow: bool = False


def differing(values: object, expected: object) -> str:
    """What to say where two values should be equal."""
    return f"expected {expected}, got {values}"
