"""Progress of long steps: whoever runs them says what there is to do, whoever wants to see it opens a display."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Item = TypeVar("Item")
Display = Callable[[str, Sequence[Any]], Iterator[Any]]


def steps(what: str, items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items of a long step; a display shows how many are done.

    >>> list(steps("doubling", [1, 2]))
    [1, 2]
    """
    return _display.get()(what, items)


@contextmanager
def show_steps() -> Iterator[None]:
    """Show steps on the error stream for as long as this lasts, if a person is there to see it: not in a file or pipe.

    A bar of rich that goes away in the end; without rich one line at every tenth.
    """
    seen = sys.stderr.isatty()
    display = _silent if not seen else _bar if importlib.util.find_spec("rich") else _lines
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)


def _silent(what: str, items: Sequence[Any]) -> Iterator[Any]:  # noqa: ARG001
    yield from items


def _lines(what: str, items: Sequence[Any]) -> Iterator[Any]:
    count, told = len(items), 0
    for number, item in enumerate(items, 1):
        yield item
        if (tenth := 10 * number // count) > told:
            told = tenth
            print(f"{what}: {number} of {count}", file=sys.stderr)


def _bar(what: str, items: Sequence[Any]) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress

    # Drawn between the items only: a thread that draws would disturb what is being timed.
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task(what, total=len(items))
        progress.refresh()
        for item in items:
            yield item
            progress.advance(task)
            progress.refresh()


_display: ContextVar[Display] = ContextVar("display", default=_silent)
