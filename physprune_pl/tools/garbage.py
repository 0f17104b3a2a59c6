"""Python's collector of garbage, kept from looking again and again at what is in use anyway."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Let the collector look at objects only that are made inside.

    Those of before, most of them of libraries, are hundreds of thousands; looking through them takes a quarter of the
    time of a trace. Nor does it look after every few hundred new ones, most of which are in use until the end. What
    somebody else has frozen stays frozen: then nothing is changed.

    >>> with only_new_garbage():
    ...     frozen = gc.get_freeze_count()
    >>> frozen > 0, gc.get_freeze_count()
    (True, 0)
    """
    if gc.get_freeze_count() > _IMMORTAL:
        yield
        return
    often = gc.get_threshold()
    gc.freeze()
    if often[0]:  # zero: somebody has switched it off
        gc.set_threshold(max(often[0], _NEW), *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()


_NEW = 20_000
"""After so many new objects the collector looks at them."""

_IMMORTAL = 2_000
"""No more objects than this are frozen by Python itself, and at least four times as many by whoever calls `gc.freeze`.

Python 3.12 puts its immortal objects there in every full collection: 375 after all of our imports. A bare interpreter
tracks more than 8000 objects, all of which a call freezes.
"""
