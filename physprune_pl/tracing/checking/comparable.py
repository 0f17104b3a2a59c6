"""Runs of networks of different widths made comparable: no dropout or noise, no rounding, no division by zero."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.probing.mixing.computed_weights import ComputedWeights, direction_and_length, normed_by_length
from physprune_pl.probing.mixing.row_blocks import RowBlock
from physprune_pl.probing.operations.operation_rows import Attention, Layout
from physprune_pl.probing.operations.operations import TELLING, is_known, layout_of, operands, operation_of
from physprune_pl.tracing.checking.steady_choices import choose

_DROPOUTS = {
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout),
    *(torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout),
}
_NOISE = {torch.rand_like, torch.randn_like, torch.bernoulli, Tensor.bernoulli}
_CASTS = {Tensor.float, Tensor.half, Tensor.bfloat16}
_CHANGED = _DROPOUTS | _NOISE | _CASTS
_SHORT = {torch.float32, torch.float16, torch.bfloat16}

Call = Callable[..., Any]


class Comparable(TorchFunctionMode):
    """Makes runs of networks of different widths comparable.

    It also collects what every mixing call puts out: an output that is rounded, clipped or saturated hides errors.

    Args:
        keep: ``id`` of a weight and dimension -> channels of its output to collect, all where there is no entry.
        own: ``id`` of the network's parameters and buffers.
        double: whether what the network would compute in fewer digits, such as its norms, it computes in double
            precision too.

    Attributes:
        collected: what mixing calls have put out.
        weights: the parameter, or other tensor, that each of them mixed with.
        shortened: whether the network asked for fewer digits than it was given.
    """

    def __init__(
        self, keep: Mapping[tuple[int, int], Sequence[int]], own: Collection[int] = (), double: bool = False
    ) -> None:
        super().__init__()
        self.keep, self.double, self.shortened = keep, double, False
        self.collected: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.computed = ComputedWeights(own)

    def __torch_function__(
        self, func: Call, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, without chance."""
        kwargs = kwargs or {}
        if not is_known(func) and func not in _CHANGED and not any(map(_is_type, (*args, *kwargs.values()))):
            return self._run(func, args, kwargs)  # most operations
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func in _NOISE:
            return torch.full_like(args[0] if args else kwargs["input"], 0.5)
        if isinstance(operation_of(func), Attention):
            args, kwargs = _without_dropout(args, kwargs)
        func, args, kwargs = self._with_all_digits(func, args, kwargs)
        output = self._run(func, args, kwargs)
        layout = layout_of(func, args, kwargs)
        if layout is not None:
            self._collect(layout, operands(func, args, kwargs)[1], output)
        return output

    def _run(self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chosen = choose(func, args, kwargs)
        output = _divided(func, args, kwargs) if chosen is None else chosen
        # A copy computes nothing, and what has been copied before would all be looked through.
        if func not in TELLING and func is not Tensor.__deepcopy__:
            self.computed.follow(func, args, output)
        return output

    def _with_all_digits(
        self, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Call, tuple[Any, ...], dict[str, Any]]:
        if func not in _CASTS and not any(map(_is_type, (*args, *kwargs.values()))):
            return func, args, kwargs
        self.shortened = True
        if not self.double:
            return func, args, kwargs
        longer = [torch.float64 if isinstance(one, torch.dtype) and one in _SHORT else one for one in args]
        named = {
            key: torch.float64 if isinstance(one, torch.dtype) and one in _SHORT else one for key, one in kwargs.items()
        }
        return Tensor.double if func in _CASTS else func, tuple(longer), named

    def _collect(self, layout: Layout, weight: Tensor, output: Tensor) -> None:
        if layout.transposed:  # in conv groups its output channels are no dimension of its weight
            return
        block = RowBlock.of(weight)
        owner = self.computed.original(block.owner)
        self.weights.append(owner)
        kept = self.keep.get((id(owner), layout.output_dim))
        if kept is None:
            self.collected.append(output.clone())
            return
        index = torch.tensor(kept, device=output.device)
        if not block.whole:
            index = index[(index >= block.first) & (index < block.first + block.rows)] - block.first
        self.collected.append(output.index_select(layout.axis, index))


def _is_type(value: object) -> bool:
    return isinstance(value, torch.dtype)


def _divided(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation; what is divided by a zero, which a masked channel may be divided by, becomes zero."""
    parts = direction_and_length(func, args)
    if parts is not None:
        return normed_by_length(*parts)
    quotient = operation_of(func).by_element == "quotient" and len(args) == 2
    zero = args[1] == 0 if quotient and isinstance(args[1], Tensor) else None
    output = func(*args, **kwargs)
    if zero is None or not bool(zero.any()):
        return output
    return output.masked_fill_(zero, 0.0) if output is args[0] else output.masked_fill(zero, 0.0)


def _without_dropout(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of fused attention with its dropout, the fifth of them, at zero."""
    return (*args[:4], *[0.0] * len(args[4:5]), *args[5:]), {**kwargs, **({"dropout_p": 0.0} if len(args) < 5 else {})}
