"""Studies of short fits, each kept as soon as it is done, compared seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from experiments.bench.runs import Result, save, stored
from physprune_pl.reports.report import command_line


def completed(
    path: Path, wanted: Iterable[Result], key: Callable[[Result], Any], fit: Callable[[Result], Result]
) -> list[Result]:
    """Run what a results.json lacks, store it after every run, and return all of its results.

    Args:
        path: the file.
        wanted: what identifies each result.
        key: their order, which also tells them apart.
        fit: what is found, given what identifies a result.
    """
    found = stored(path)
    for row in wanted:
        if key(row) not in map(key, found):
            found = sorted([*found, {**row, **fit(row)}], key=key)
            save(found, command_line(), path)
    return found
