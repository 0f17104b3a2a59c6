"""One line of the table of goals."""

from __future__ import annotations

Line = tuple[str, str, str]


def line(goal: str, figure: str, met: bool) -> Line:
    """Return a goal with its figure.

    >>> line("fit <= 0.65", "0.70", False)
    ('fit <= 0.65', '0.70', '**no**')
    """
    return goal, figure, "yes" if met else "**no**"


def absent(goal: str) -> Line:
    """Return a goal without a figure."""
    return goal, "not measured", "-"
