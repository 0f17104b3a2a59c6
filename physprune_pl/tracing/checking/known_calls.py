"""Outputs of large layers in one run, for a second run that may make the same calls with the same data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_SHARE = 8
"""What a call reads and puts out is kept if that is so many times less than its weight: computing costs more then."""


class KnownCalls:
    """Keeps what calls with large weights put out, and gives it back where a second run makes them again.

    >>> known, data = KnownCalls(), torch.ones(2)
    >>> known.output("weight", 100, [data], lambda: data + 1)
    tensor([2., 2.])
    >>> known.start_again()
    >>> known.output("weight", 100, [torch.ones(2)], lambda: data * 0)
    tensor([2., 2.])
    """

    def __init__(self) -> None:
        self._kept: list[tuple[object, Sequence[Any], Tensor]] = []
        self._place, self._first = 0, True

    def start_again(self) -> None:
        """Begin the second run."""
        self._place, self._first = 0, False

    def output(self, weight: object, size: int, call: Sequence[Any], compute: Callable[[], Tensor]) -> Tensor:
        """Return what a call puts out, computed if that is not known; the model may change it in place.

        Args:
            weight: says which weight it is; that is the same in both runs.
            size: number of elements of the weight.
            call: function and arguments but for the weight.
            compute: makes the call.
        """
        if self._first:
            # The model may write to what it has given to the call.
            values = [one.clone() if isinstance(one, Tensor) else one for one in call]
            output = compute()
            if _SHARE * sum(one.numel() for one in (*values, output) if isinstance(one, Tensor)) <= size:
                self._kept.append((weight, values, output.clone()))
            return output
        if self._place < len(self._kept) and self._kept[self._place][0] == weight:
            _, before, output = self._kept[self._place]
            self._place += 1
            if len(before) == len(call) and all(map(_same, before, call)):
                return output.clone()
        return compute()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype is other.dtype and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)
