"""What mixing calls put out, computed once: later runs ask where NaN goes, which no weight changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from physprune_pl.probing.watching.tainting import tensors_of_call

Key = tuple[str, torch.Size]


class Replay:
    """Keeps the outputs of a model's mixing calls in its first run and gives them back in the runs that follow.

    A mixing call gets data without NaN, so its output is clean whatever was tainted: the first one will do. A call
    that the first run did not make in this place, with this shape, is computed.

    Example:
        >>> replay = Replay()
        >>> replay.output(("weight", torch.Size([1])), lambda: torch.zeros(2))
        tensor([0., 0.])
        >>> replay.start_again()
        >>> replay.output(("weight", torch.Size([1])), lambda: torch.ones(2))
        tensor([0., 0.])
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Key, Tensor]] = []
        self._place = 0
        self._first_run = True

    def start_again(self) -> None:
        """Begin a run that follows the first one."""
        self._place, self._first_run = 0, False

    def output(self, key: Key, compute: Callable[[], Tensor]) -> Tensor:
        """Return the output of the next call; the model may change it in place."""
        if self._first_run:
            output = compute()
            self._kept.append((key, output.clone()))
            return output
        place = self._place
        self.skip()
        if place < len(self._kept) and self._kept[place][0] == key:
            return self._kept[place][1].clone()
        return compute()

    def calling(self, func: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a function that puts out what another one did in the first run, given data without NaN."""

        def call(*args: Any, **kwargs: Any) -> Tensor:
            shapes = [size for tensor in tensors_of_call(args, kwargs) for size in tensor.shape]
            return self.output((func.__name__, torch.Size(shapes)), lambda: func(*args, **kwargs))

        return call

    def skip(self) -> None:
        """Pass over the next call, whose weight is another one than in the first run."""
        self._place += 1
