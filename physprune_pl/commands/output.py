"""Tables for whoever reads them: drawn for a person at a terminal, plain in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from physprune_pl.tables import Cells, plain, terminal, unbroken


def table(title: str, head: Cells, rows: Sequence[Cells]) -> str:
    """Return a table; nothing without rows."""
    if not rows:
        return ""
    if sys.stdout.isatty():
        return terminal(title, head, rows, unbroken(head, rows))
    return plain(title, head, rows)
