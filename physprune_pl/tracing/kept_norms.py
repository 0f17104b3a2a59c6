"""Norms and other statistics over channels of a masked network, as the cut network will have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.probing.norms import STATISTICS
from physprune_pl.probing.operations import ACROSS, GROUP_NORM
from physprune_pl.structure import ChannelGroup

Call = Callable[..., Any]
Kept = Mapping[int, Tensor]
"""Axis, counted from the end -> positions that stay."""


@dataclass(frozen=True)
class Removed:
    """Which channels norms must leave out.

    Attributes:
        tensors: ``id`` of a tensor and dimension -> mask of what is removed.
        calls: mode, number of a norm or statistic in a run, axis from the end -> positions that are removed.
    """

    tensors: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    calls: dict[tuple[str, int, int], Tensor] = field(default_factory=dict)

    def note(self, group: ChannelGroup, gone: Tensor) -> None:
        """Add what is removed from norms without tensors: ``gone`` is a mask of the channels."""
        for part in group.norms:
            place = part.mode, part.call, part.axis
            index = torch.tensor(part.index)[gone[torch.tensor(part.channel)]]
            self.calls[place] = torch.cat([self.calls.get(place, index[:0]), index])

    def of_calls(self, training: bool) -> dict[tuple[int, int], Tensor]:
        """Return number of a call and axis -> positions; both modes call the same where there is none for training."""
        modes = {mode for mode, _, _ in self.calls}
        mode = "train" if training and "train" in modes else "eval"
        return {(call, axis): index for (own, call, axis), index in self.calls.items() if own == mode}


class KeptNorms(TorchFunctionMode):
    """Lets norms and statistics over channels see the kept channels only."""

    def __init__(self, removed: Removed, training: bool = False) -> None:
        super().__init__()
        self._tensors, self._calls, self._number = removed.tensors, removed.of_calls(training), 0

    def __torch_function__(
        self, func: Call, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute a norm over what stays."""
        kwargs = kwargs or {}
        if func not in ACROSS and func not in GROUP_NORM and func not in STATISTICS:
            return func(*args, **kwargs)
        self._number += 1
        data = args[0] if args else kwargs["input"]
        kept = self._kept(func, data, args, kwargs)
        return _over_kept(func, data, kept, args, kwargs) if kept else func(*args, **kwargs)

    def _kept(self, func: Call, data: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Kept:
        weight = next((v for v in (*args[1:], *kwargs.values()) if isinstance(v, Tensor) and v.dim() > 0), None)
        if func in STATISTICS or weight is None:
            mine = {axis: index for (call, axis), index in self._calls.items() if call == self._number}
            return {axis: _others(index, data.shape[axis]) for axis, index in mine.items()}
        if func in GROUP_NORM and (args[1] if len(args) > 1 else kwargs["num_groups"]) > 1:
            return {}  # what goes is a whole group of the norm
        first = _first_axis(func, data, weight.dim())
        masks = {first + dim: self._tensors.get((id(weight), dim)) for dim in range(weight.dim())}
        return {axis: (~mask).nonzero().flatten() for axis, mask in masks.items() if mask is not None}


def _others(removed: Tensor, size: int) -> Tensor:
    mask = torch.ones(size, dtype=torch.bool)
    mask[removed] = False
    return mask.nonzero().flatten()


def _first_axis(func: Call, data: Tensor, dims: int) -> int:
    """Return the axis of the data that the first dimension of a norm's scale lies along."""
    return 1 - data.dim() if func in GROUP_NORM else -dims


def _over_kept(func: Call, data: Tensor, kept: Kept, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute something over the kept entries, and put what has their shape where they were."""
    short = data
    for axis, index in kept.items():
        short = short.index_select(axis, index.to(data.device))
    rest = [_narrowed(func, value, data, kept) for value in args[1:]]
    named = {key: _narrowed(func, value, data, kept) for key, value in kwargs.items() if key != "input"}
    output = func(short, *rest, **named)
    if func in STATISTICS and not STATISTICS[func].same_shape:
        return output
    for axis, index in kept.items():
        shape = list(output.shape)
        shape[axis] = data.shape[axis]
        output = output.new_zeros(shape).index_copy(axis, index.to(data.device), output)
    return output


def _narrowed(func: Call, value: Any, data: Tensor, kept: Kept) -> Any:
    """Return what is left of the scale, the shift or the shape of a norm; any other argument as it is."""
    if func in STATISTICS:
        return value
    if isinstance(value, Tensor) and value.dim() > 0:
        first = _first_axis(func, data, value.dim())
        for axis, index in kept.items():
            value = value.index_select(axis - first, index.to(value.device))
    elif isinstance(value, list | tuple):
        value = [len(kept.get(place - len(value), range(size))) for place, size in enumerate(value)]
    return value
