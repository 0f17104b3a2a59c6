"""Masks and indices that a model computes from values, such as which boxes a detector keeps: the same in every run.

NaN is smaller than nothing and larger than nothing, so where channels are NaN a model would choose something else, and
nobody could tell where they go. So what is chosen in the first run is chosen in those that follow; what is chosen
*from* carries NaN as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from physprune_pl.probing.operations.operation_rows import Argument
from physprune_pl.probing.watching.invocation import Invocation

BRANCH = "a branch on values"
_MARK = "_physprune_decided"
ALONG = {
    **dict.fromkeys((torch.topk, Tensor.topk), Argument(2, ("dim",), -1)),
    **dict.fromkeys((torch.sort, Tensor.sort), Argument(1, ("dim",), -1)),
}
"""What puts out entries of an axis and their places."""

_NUMBERS = {
    *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__),
    *(torch.is_nonzero, Tensor.is_nonzero, torch.equal, Tensor.equal, Tensor.__contains__),
}
"""What hands values on to Python."""


class Decisions:
    """Keeps the masks and indices of a model's first run and gives them back in the runs that follow.

    Attributes:
        followed: whether it does so: what the first run has not come past would never be seen.
    """

    def __init__(self) -> None:
        self.followed = True
        self._kept: list[Tensor] = []
        self._place = 0
        self._first_run, self._marked = True, False

    def start_again(self) -> None:
        """Begin a run that follows the first one."""
        self._place, self._first_run, self._marked = 0, False, False

    def of(self, call: Invocation[Any], inputs: Sequence[Tensor], output: Any) -> Any:
        """Return what a call puts out, its masks and indices as in the first run."""
        if isinstance(output, Tensor) and output.is_floating_point():
            return output
        if isinstance(output, tuple) and any(map(_is_choice, output)):
            return self._entries(call, output, [self.choice(inputs, one) for one in output])
        return self.choice(inputs, output)

    def branches(self, call: Invocation[Any], inputs: Sequence[Tensor]) -> bool:
        """Return whether a call makes a number for Python of what NaN would have turned; its size is no such number."""
        return self._marked and call.func in _NUMBERS and any(_MARK in vars(one) for one in inputs)

    def choice(self, inputs: Sequence[Tensor], output: Any) -> Any:
        """Return a mask, or indices, as they were in the first run; anything else as it is."""
        if not self.followed or not _is_choice(output):
            return output
        chosen = self._again(output) if any(one.is_floating_point() for one in inputs) else output
        turned = chosen is not output and not torch.equal(chosen, output)
        if turned or (self._marked and any(_MARK in vars(one) for one in inputs)):
            setattr(chosen, _MARK, True)
            self._marked = True
        return chosen

    def _again(self, output: Tensor) -> Tensor:
        if self._first_run:
            self._kept.append(output.clone())
            return output
        self._place += 1
        return self._kept[self._place - 1].clone() if self._place <= len(self._kept) else output

    def _entries(self, call: Invocation[Any], output: tuple[Any, ...], places: list[Any]) -> Any:
        """Return the entries at the places that were chosen before, where a call puts out both."""
        if call.func in ALONG and self.followed:
            places[0] = call.data.gather(call.get(ALONG[call.func]), places[1])
        kind = type(output)
        return kind(places) if kind is tuple or hasattr(kind, "n_fields") else kind(*places)


def _is_choice(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_floating_point() and not value.is_complex()
