"""Names and figures as reports show them: short, and with a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile


def short_names(names: Sequence[str]) -> list[str]:
    """Leave out the modules that all names begin with.

    >>> short_names(["network.stem.0", "network.head"]), short_names(["network.stem"])
    (['stem.0', 'head'], ['stem'])
    """
    paths = [name.split(".") for name in names]
    # What all have at a place; a name keeps its last part, even where all names are alike.
    columns = zip(*(path[:-1] for path in paths), strict=False)
    shared = len(list(takewhile(lambda parts: len(set(parts)) == 1, columns)))
    return [".".join(path[shared:]) for path in paths]


def times(cost: Mapping[str, float]) -> str:
    """Return how many times less the pruned network costs.

    >>> times({"dense": 10, "pruned": 4}), times({"dense": 10, "pruned": 0})
    ('2.50x', '-')
    """
    return f"{cost['dense'] / cost['pruned']:.2f}x" if cost["pruned"] else "-"


def speed(cost: Mapping[str, float]) -> tuple[str, str]:
    """Return how many times faster the pruned network is, or slower, and that word.

    >>> speed({"dense": 10, "pruned": 4}), speed({"dense": 4, "pruned": 5})
    (('2.50x', 'faster'), ('1.25x', 'slower'))
    """
    if cost["pruned"] > cost["dense"]:
        return times({"dense": cost["pruned"], "pruned": cost["dense"]}), "slower"
    return times(cost), "faster"


def score(name: str, value: float | None) -> str:
    """Return the value of a metric; that of an accuracy in percent.

    >>> score("val_acc", 0.9835), score("loss", 0.9835), score("loss", None)
    ('98.35 %', '0.9835', '-')
    """
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" if "acc" in name.lower() and 0 <= value <= 1 else f"{value:.4f}"


def milliseconds(value: float) -> str:
    """Return a time with three digits that count.

    >>> milliseconds(0.01234), milliseconds(25.85), milliseconds(1234.5)
    ('0.0123 ms', '25.9 ms', '1230 ms')
    """
    return f"{float(f'{value:.3g}'):g} ms"
