"""Products of channels with a part of the input, such as a mask of frames: where the channels are zero, so are they."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.probing.operations.operations import operation_of
from physprune_pl.probing.watching.tainting import has_nan


class InputMasks(TorchFunctionMode):
    """Notes in which products by element an operand is made of channels, and keeps NaN of other operands out of them.

    In a first run, in which all channels are NaN, the products are noted. In a second run, in which the input is NaN,
    what a noted operand is multiplied with or divided by becomes 1: it cannot bring back a channel that is gone. An
    operand with a value for every element of the other is no mask, and is left as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: list[tuple[bool, bool]] = []
        self._place: int | None = None

    def start_again(self) -> None:
        """Begin the second run."""
        self._place = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Watch one operation."""
        kind = operation_of(func).by_element
        if kind and len(args) == 2 and all(isinstance(value, Tensor) for value in args):
            # The probe must see the same calls whether or not this mode watches too.
            with torch._C.DisableTorchFunction():
                args = self._product(*args, divided=kind == "quotient")
        return func(*args, **(kwargs or {}))

    def _product(self, left: Tensor, right: Tensor, divided: bool) -> tuple[Tensor, Tensor]:
        if self._place is None:
            self._made.append((_all_nan(left), _all_nan(right) and not divided))
            return left, right
        of_channels = self._made[self._place] if self._place < len(self._made) else (False, False)
        self._place += 1
        if of_channels[0] and _masks(right, left):
            return left, right.nan_to_num(nan=1.0)
        if of_channels[1] and _masks(left, right):
            return left.nan_to_num(nan=1.0), right
        return left, right


def _all_nan(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 0 and bool(tensor.isnan().all())


def _masks(mask: Tensor, channels: Tensor) -> bool:
    """Return whether NaN came with a mask that is shared by some of the other's elements."""
    return has_nan(mask) and not has_nan(channels) and mask.numel() < channels.numel()
