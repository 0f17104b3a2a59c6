"""Notes what iterators, queues and files of a model give in a real run, for runs of copies that cannot have them."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.held_objects import held, is_empty
from physprune_pl.networks.left_out import Outcome, Tape, is_used_up
from physprune_pl.networks.nested import mapped

Put = Callable[[Any], None]


class Taping:
    """Puts a tape in between wherever a model holds something that a run uses up, until :meth:`end`.

    Args:
        model: the model; it goes on with the very same objects.

    Attributes:
        tapes: ``id`` of what was taped -> what it gave.
        running: whether the tapes are still in between.
    """

    def __init__(self, model: nn.Module) -> None:
        self.tapes: dict[int, Tape] = {}
        self._kept: list[tuple[Callable[[], Any], Put, Any, Any]] = []
        self._taped: dict[int, _Taped] = {}
        self.running = True
        for read, put in list(_places(model)):
            value = read()
            if (changed := self._changed(value)) is not value:
                put(changed)
                self._kept.append((read, put, changed, value))

    def _changed(self, value: Any) -> Any:
        if type(value) is tuple and any(map(is_used_up, value)):
            return tuple(map(self._changed, value))
        if not is_used_up(value) or isinstance(value, _Taped):
            return value
        if id(value) not in self._taped:
            self.tapes[id(value)] = {}
            self._taped[id(value)] = _Taped(value, self.tapes[id(value)])
        return self._taped[id(value)]

    def end(self) -> None:
        """Put everything back that nobody has replaced meanwhile."""
        for read, put, changed, value in self._kept:
            if read() is changed:
                put(value)
        self._kept, self.running = [], False


class _Taped:
    """Does what another object does, and notes what that gives."""

    def __init__(self, original: Any, tape: Tape) -> None:
        vars(self).update(_original=original, _tape=tape)

    @property
    def __class__(self) -> Any:  # somebody may ask what it is
        return type(vars(self)["_original"])

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        raise TypeError(f"a tape stands for it: its class cannot become {kind}")

    def __iter__(self) -> Any:
        iter(vars(self)["_original"])
        return self

    def __next__(self) -> Any:
        return self._noted("__next__")

    def __len__(self) -> int:
        return len(vars(self)["_original"])

    def __enter__(self) -> Any:
        vars(self)["_original"].__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return vars(self)["_original"].__exit__(*error)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_original"], name, value)

    def __getattr__(self, name: str) -> Any:
        value = getattr(vars(self)["_original"], name)
        return (lambda *args, **kwargs: self._noted(name, *args, **kwargs)) if callable(value) else value

    def _noted(self, name: str, *args: Any, **kwargs: Any) -> Any:
        outcomes = vars(self)["_tape"].setdefault(name, [])
        try:
            value = getattr(vars(self)["_original"], name)(*args, **kwargs)
        except Exception as error:
            outcomes.append(Outcome(None, error))
            raise
        outcomes.append(Outcome(mapped(value, lambda tensor: tensor.detach().clone())))
        return value


def _places(model: nn.Module) -> Iterator[tuple[Callable[[], Any], Put]]:
    """Yield what reads and what writes each place in which a model holds something."""
    for holder in held(model, everybodys=True):
        if isinstance(holder, types.CellType):
            if not is_empty(holder):
                yield _of_cell(holder)
        elif isinstance(holder, partial):
            yield _of_partial(holder)
        elif isinstance(holder, list | deque):
            yield from (_of_items(holder, place) for place in range(len(holder)))
        elif not isinstance(holder, Tensor | type):
            entries = holder if isinstance(holder, dict) else getattr(holder, "__dict__", {})
            yield from (_of_items(entries, key) for key in list(entries))


def _of_cell(cell: types.CellType) -> tuple[Callable[[], Any], Put]:
    return lambda: cell.cell_contents, lambda value: setattr(cell, "cell_contents", value)


def _of_partial(call: Any) -> tuple[Callable[[], Any], Put]:
    return lambda: call.args, lambda args: call.__setstate__((call.func, args, call.keywords, vars(call)))


def _of_items(holder: Any, key: Any) -> tuple[Callable[[], Any], Put]:
    def read() -> Any:
        try:
            return holder[key]
        except (KeyError, IndexError):  # somebody has taken it away
            return None

    def put(value: Any) -> None:
        holder[key] = value

    return read, put
