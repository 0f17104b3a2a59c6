"""Tables for a markdown page and for a terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence

from physprune_pl.tools.plain_tables import Cells, plain

# Wide enough for four columns, narrow enough for a split screen.
WIDTH = 100


def latency_words(figures: Mapping[str, float]) -> str:
    """Write what a plan for a latency target tells: asked, predicted and measured shares, and the times.

    >>> latency_words({"asked": 0.5, "predicted": 0.495, "measured": 0.52, "dense_ms": 8, "pruned_ms": 4.16})
    'Latency: asked 50.0%, predicted 49.5%, measured 52.0% (8.00 -> 4.16 ms, batch 1).'
    """
    shares = (f"{name} {figures[name]:.1%}" for name in ("asked", "predicted", "measured") if name in figures)
    text = f"Latency: {', '.join(shares)}"
    if "dense_ms" not in figures:
        return f"{text}."
    batch = int(figures.get("batch_size", 1))
    return f"{text} ({figures['dense_ms']:.2f} -> {figures['pruned_ms']:.2f} ms, batch {batch})."


def markdown(head: Cells, rows: Iterable[Cells]) -> str:
    r"""Return a markdown table; nothing without rows.

    >>> print(markdown(("name", "is"), [("norm", "|x|")]))
    | name | is |
    |---|---|
    | norm | \|x\| |
    <BLANKLINE>
    """
    body = [f"| {' | '.join(_one_line(cell) for cell in row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""])


def _one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", r"\|")


def terminal(title: str, head: Cells, rows: Sequence[Cells], width: int = WIDTH) -> str:
    """Return a table for a terminal, drawn by rich where it is installed; nothing without rows.

    Args:
        title: above the table.
        head: names of the columns.
        rows: cells of each row.
        width: characters of a line; rich breaks the cells of a wider table.
    """
    if not rows:
        return ""
    return _rich(title, head, rows, width) if importlib.util.find_spec("rich") else plain(title, head, rows)


def unbroken(head: Cells, rows: Sequence[Cells]) -> int:
    """Return the width at which rich breaks no cell.

    >>> unbroken(("arm", "seeds"), [("force=uniform", "3")])
    25
    """
    return sum(max(map(len, column)) for column in zip(head, *rows, strict=True)) + 3 * len(head) + 1


def _rich(title: str, head: Cells, rows: Sequence[Cells], width: int) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column, name in enumerate(head):
        table.add_column(name, justify="right" if column else "left")
    for row in rows:
        # As text: a name may hold what rich would read as a style.
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def table(title: str, head: Cells, rows: Sequence[Cells]) -> str:
    """Return a table; nothing without rows."""
    if not rows:
        return ""
    if sys.stdout.isatty():
        return terminal(title, head, rows, unbroken(head, rows))
    return plain(title, head, rows)
