"""What to answer to a name that there is not: the names that there are, the nearest first, and which may be meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 12
"""Names that a message lists at most."""


def near(name: str, choices: Iterable[str], likeness: float = 0.6) -> list[str]:
    """Return the choices that a name may stand for, the nearest first: misspelt, or without its first dotted parts.

    Args:
        name: the name; upper case is lower case.
        choices: the names that there are.
        likeness: share, in [0, 1], of their letters that two names must have in common.

    >>> near("Gravety", ["uniform", "gravity", "gravity_literal"])
    ['gravity']
    >>> near("conv2", ["stem.conv1", "stages.0.blocks.0.conv2"])
    ['stages.0.blocks.0.conv2', 'stem.conv1']
    """
    word = name.lower()
    parts = word.count(".") + 1
    spelt: dict[str, list[str]] = {}
    for choice in choices:
        whole = choice.lower()
        for spelling in {whole, ".".join(whole.split(".")[-parts:])}:
            spelt.setdefault(spelling, []).append(choice)
    close = get_close_matches(word, spelt, n=SHOWN, cutoff=likeness)
    return list(dict.fromkeys(choice for spelling in close for choice in spelt[spelling]))


def unknown(argument: str, name: object, choices: Iterable[str], what: str = "one of") -> str:
    """Return the message about a name that is none of the choices.

    Args:
        argument: where the name was given.
        name: what was given there; anything but a string is near to nothing.
        choices: the names that there are, in the order in which to list those that are not near.
        what: what the name should have been, in front of the list.

    >>> unknown("force", "gravty", ["exponential", "gravity", "uniform"])
    "force: expected one of ['gravity', 'exponential', 'uniform'], got 'gravty'; did you mean 'gravity'?"
    >>> unknown("module", 3, (f"layer{number}" for number in range(90)), "a submodule, such as")[:50]
    "module: expected a submodule, such as ['layer0', '"
    """
    known = list(dict.fromkeys(choices))
    nearest = near(name, known) if isinstance(name, str) else []
    ordered = list(dict.fromkeys([*nearest, *known]))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{argument}: expected {what} {ordered[:SHOWN]}{more}, got {name!r}{guess}"
