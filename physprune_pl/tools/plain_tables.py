"""Tables of spaces, and figures short enough to stand in them."""

from __future__ import annotations

from collections.abc import Sequence

Cells = tuple[str, ...]


def short(value: float) -> str:
    """Write a count with three or four digits and a unit of thousands, such as ``"31.72 M"``.

    >>> short(31_720_000), short(950)
    ('31.72 M', '950')
    """
    for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:.2f} {unit}"
    return str(int(value))


def saving(dense: float, pruned: float, less: str = "fewer") -> str:
    """Write a saving the one way that this project has: how many times less, and the share that is left.

    >>> saving(100, 40), saving(8.0, 4.0, "faster"), saving(1, 0)
    ('2.50x fewer (40 % kept)', '2.00x faster (50 % kept)', '-')
    """
    return f"{dense / pruned:.2f}x {less} ({100 * pruned / dense:.0f} % kept)" if pruned else "-"


def plain(title: str, head: Cells, rows: Sequence[Cells]) -> str:
    """Return a table of spaces only, for a file or where rich is not installed."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in (head, *rows))
    ]
    return "\n".join([title, *(line.rstrip() for line in lines)])
