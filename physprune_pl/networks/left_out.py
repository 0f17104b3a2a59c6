"""What a copy of a model gets in place of something that cannot be copied and that a run would use up."""

from __future__ import annotations

import io
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from torch import Tensor, nn

from physprune_pl.networks.nested import mapped


class LeftOutError(RuntimeError):
    """A copy of a model needs something that it could not be given."""


class Outcome(NamedTuple):
    """What one use of something has given: a value, or an error."""

    value: Any
    error: Exception | None = None

    def again(self) -> Any:
        """Give the value, its tensors copied, or raise the error."""
        if self.error is not None:
            raise self.error
        return mapped(self.value, Tensor.clone)


Tape = dict[str, list[Outcome]]
"""Outcomes of the uses of one object, by the name of the method."""


class Player:
    """Gives copies what the originals of their parts have given while they were taped, each run from the beginning.

    Args:
        tapes: ``id`` of the original -> its tape.

    Attributes:
        missing: kinds of the originals that were asked for and were not taped.
    """

    def __init__(self, tapes: Mapping[int, Tape]) -> None:
        self._tapes = tapes
        self._places: Counter[tuple[int, str]] = Counter()
        self.missing: list[str] = []

    def use(self, part: LeftOut, name: str) -> Any:
        """Give what the next use of a part gave, the first one again after the last.

        Raises:
            LeftOutError: it was not taped.
        """
        outcomes = self._tapes.get(part.key, {}).get(name, [])
        if not outcomes:
            self.missing.append(part.kind)
        self.check()
        self._places[part.key, name] += 1
        return outcomes[(self._places[part.key, name] - 1) % len(outcomes)].again()

    def check(self) -> None:
        """Say what was missing, also to those whose program has kept the error to itself.

        Raises:
            LeftOutError: something was asked for that was not taped.
        """
        if self.missing:
            raise LeftOutError(_MISSING.format(kind=self.missing[0]))


_MISSING = "a copy of the model needs its {kind}, which cannot be copied, and sharing it would use it up"
_PLAYER: ContextVar[Player | None] = ContextVar("player", default=None)


@contextmanager
def playing(tapes: Mapping[int, Tape]) -> Iterator[Player]:
    """Let parts that copies lack give what their originals have given."""
    player = Player(tapes)
    token = _PLAYER.set(player)
    try:
        yield player
    finally:
        _PLAYER.reset(token)


class LeftOut:
    """Stands in a copy for an iterator, a queue, a connection or an open file; it gives what there is a tape of.

    Attributes:
        key: ``id`` of the original.
        kind: name of its class.
    """

    def __init__(self, original: object) -> None:
        self.key, self.kind = id(original), type(original).__name__

    def __iter__(self) -> LeftOut:
        return self

    def __next__(self) -> Any:
        return self._use("__next__")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: self._use(name)

    def _use(self, name: str) -> Any:
        return (_PLAYER.get() or Player({})).use(self, name)

    def close(self) -> None:
        """Close nothing: the original is not this copy's."""


def is_used_up(value: object) -> bool:
    """Return whether something gives what it has once: an iterator, a queue, a connection, a file that is read.

    >>> is_used_up(iter([1])), is_used_up([1]), is_used_up(nn.ReLU())
    (True, False, False)
    """
    kind = type(value)
    if isinstance(value, nn.Module | Tensor | type | types.ModuleType):
        return False
    gives = [{"__next__"}, {"get", "put"}, {"recv"}]
    return any(all(callable(getattr(kind, name, None)) for name in names) for names in gives)


def stand_in_for(original: Any) -> object:
    """Return what a copy gets: of what is only written to, something to write to that nobody reads."""
    if isinstance(original, LeftOut):
        return original
    if isinstance(original, io.IOBase) and not original.closed and original.writable() and not original.readable():
        return io.StringIO() if isinstance(original, io.TextIOBase) else io.BytesIO()
    return LeftOut(original)
