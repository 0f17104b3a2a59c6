"""Norms and other statistics over channels of a masked network, as the cut network will have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.probing.operations.operation_rows import Norm, NormOfGroups, Statistic
from physprune_pl.probing.operations.operations import operation_of
from physprune_pl.probing.watching.invocation import Invocation
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

    def leave_out(self, group: ChannelGroup, gone: Tensor, named: Mapping[str, Tensor]) -> None:
        """Add what is removed of a group.

        Args:
            group: the group.
            gone: mask of its channels.
            named: parameters and buffers, by name.
        """
        for part in group.slices:
            tensor = named[part.name]
            fresh = torch.zeros(tensor.shape[part.dim], dtype=torch.bool)
            self.tensors.setdefault((id(tensor), part.dim), fresh)[part.positions(gone)] = True
        for norm in group.norms:
            place = norm.mode, norm.call, norm.axis
            index = torch.tensor(norm.index)[gone[torch.tensor(norm.channel)]]
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
        self._idle = not (removed.tensors or removed.calls)

    def __enter__(self) -> KeptNorms:
        if not self._idle:
            super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        if not self._idle:
            super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Call, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute a norm over what stays."""
        row, kwargs = operation_of(func), kwargs or {}
        if not isinstance(row, Norm | Statistic):
            return func(*args, **kwargs)
        call = Invocation(row, func, args, kwargs)
        self._number += 1
        kept = self._kept(call)
        return _over_kept(call, kept) if kept else call.run()

    def _kept(self, call: Invocation[Norm | Statistic]) -> Kept:
        row, data = call.row, call.data
        tensors = row.tensors(call.args, call.kwargs) if isinstance(row, Norm) else []
        if isinstance(row, Statistic) or not tensors:
            mine = {axis: index for (number, axis), index in self._calls.items() if number == self._number}
            return {axis: _others(index, data.shape[axis]) for axis, index in mine.items()}
        if isinstance(row, NormOfGroups) and call.get(row.count) > 1:
            return {}  # what goes is a whole group of the norm
        weight = tensors[0]
        first = row.first_axis(data, weight.dim())
        masks = {first + dim: self._tensors.get((id(weight), dim)) for dim in range(weight.dim())}
        return {axis: (~mask).nonzero().flatten() for axis, mask in masks.items() if mask is not None}


def _others(removed: Tensor, size: int) -> Tensor:
    mask = torch.ones(size, dtype=torch.bool)
    mask[removed] = False
    return mask.nonzero().flatten()


def _over_kept(call: Invocation[Norm | Statistic], kept: Kept) -> Any:
    """Compute something over the kept entries, and put what has their shape where they were."""
    row, data = call.row, call.data
    args = [_narrowed(row, value, data, kept) for value in call.args]
    kwargs = {key: _narrowed(row, value, data, kept) for key, value in call.kwargs.items()}
    output = call.func(*args, **kwargs)
    if isinstance(row, Statistic) and not row.same_shape:
        return output
    for axis, index in kept.items():
        shape = list(output.shape)
        shape[axis] = data.shape[axis]
        output = output.new_zeros(shape).index_copy(axis, index.to(data.device), output)
    return output


def _narrowed(row: Norm | Statistic, value: Any, data: Tensor, kept: Kept) -> Any:
    """Return what is left of the data and of the scale, the shift or the shape of a norm; else the argument itself."""
    if value is data:
        return _taken(data, kept, -data.dim())
    if isinstance(row, Norm) and isinstance(value, Tensor) and value.dim() > 0:
        return _taken(value, kept, row.first_axis(data, value.dim()))
    if isinstance(row, Norm) and isinstance(value, list | tuple):
        return [len(kept.get(place - len(value), range(size))) for place, size in enumerate(value)]
    return value


def _taken(tensor: Tensor, kept: Kept, first: int) -> Tensor:
    """Return the kept entries of a tensor whose first dimension lies along an axis of the data."""
    for axis, index in kept.items():
        tensor = tensor.index_select(axis - first, index.to(tensor.device))
    return tensor
