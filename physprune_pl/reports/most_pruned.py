"""Which groups lost the largest share of their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 5


def most_pruned(groups: Sequence[Mapping[str, Any]], most: int = MOST) -> list[tuple[str, str, str]]:
    """Return name, channels before and after, and what is kept, of the groups that lost most, the most first.

    >>> groups = [{"name": "a", "before": 8, "after": 6}, {"name": "b", "before": 8, "after": 2}]
    >>> most_pruned(groups)
    [('b', '8 → 2', '25 %'), ('a', '8 → 6', '75 %')]
    """
    cut = sorted((one for one in groups if one["after"] < one["before"]), key=_kept)
    return [(str(one["name"]), f"{one['before']} → {one['after']}", f"{100 * _kept(one):.0f} %") for one in cut[:most]]


def _kept(group: Mapping[str, Any]) -> float:
    return float(group["after"] / group["before"])
