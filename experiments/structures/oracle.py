"""Judges a cut without trusting the tracer: the cut copy must compute what the masked dense network computes.

All parameters and running statistics are drawn anew, so that nothing hides behind a small scale. The reference keeps
every shape and has zeros in the slices of the removed channels; norms over channels take their statistics from the
channels that stay where a group is marked inexact.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from experiments.structures.draws import same_draws
from experiments.structures.handwritten import in_torch, with_torch_norms
from physprune_pl.networks.isolation import copied
from physprune_pl.structure import ChannelGroup, Slice, Trace
from physprune_pl.surgery.apply import cut as cut_in_place
from physprune_pl.surgery.plan import PruningPlan, make_plan

Removed = Sequence[Tensor]


def draw_removed(trace: Trace, share: float, seed: int) -> list[Tensor]:
    """Choose at random the same share of every group, as bool tensors [K].

    At least one channel of each group stays, and at least one index of every dimension of every tensor: a convolution
    in front of a concat can be emptied although its group is not.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(group.size, generator=generator) for group in trace.groups]
    return _spare(trace, [order < min(max(1, int(share * len(order))), len(order) - 1) for order in orders])


def planned(plan: PruningPlan) -> list[Tensor]:
    """The channels that a plan removes, as bool tensors [K]."""
    removed = [torch.zeros(cut.before, dtype=torch.bool) for cut in plan.groups]
    for gone, cut in zip(removed, plan.groups, strict=True):
        gone[list(cut.removed)] = True
    return removed


def complement(trace: Trace, removed: Removed) -> list[Tensor]:
    """The other channels, so that each one is once cut and once kept; as many tensors survive as in `draw_removed`."""
    return _spare(trace, [~gone for gone in removed])


def _spare(trace: Trace, removed: list[Tensor]) -> list[Tensor]:
    for name, dim in {(part.name, part.dim): None for group in trace.groups for part in group.slices}:
        _spare_one(trace, removed, name, dim)
    return removed


def _spare_one(trace: Trace, removed: Sequence[Tensor], name: str, dim: int) -> None:
    parts = [
        (part, gone)
        for group, gone in zip(trace.groups, removed, strict=True)
        for part in group.slices
        if (part.name, part.dim) == (name, dim)
    ]
    if sum(len(_indices(part, gone)) for part, gone in parts) == trace.shapes[name][dim]:
        part, gone = parts[0]
        gone[part.channel[0]] = False


def redraw(model: nn.Module, seed: int, gain: float = 1.0) -> None:
    """Draw all parameters and statistics anew, in place, at a size that keeps deep networks finite.

    Statistics are ``running_mean``, ``running_var`` and buffers with one value everywhere, which are about to change.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor) -> Tensor:
        return torch.rand(tensor.shape, generator=generator).to(tensor) + 0.5

    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            fan_in = parameter.numel() / parameter.shape[0] if parameter.dim() > 1 else 0.0
            parameter.copy_(noise * gain * (2.0 / fan_in) ** 0.5 if fan_in else uniform(parameter) * noise.sign())
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator).to(buffer))
            elif name.endswith("running_var") or _is_level(buffer):
                buffer.copy_(uniform(buffer))


def _is_level(buffer: Tensor) -> bool:
    return buffer.is_floating_point() and buffer.numel() > 1 and bool((buffer == buffer.flatten()[0]).all())


def masked(model: nn.Module, groups: Sequence[ChannelGroup], removed: Removed, *, producing_only: bool) -> nn.Module:
    """A dense copy with zeros in the slices of the removed channels.

    Args:
        model: the dense network.
        groups: groups of its trace.
        removed: per group a bool tensor [K].
        producing_only: spare consumers and buffers of exact groups, which must not matter.
    """
    dense = in_torch(copied(model))
    tensors = {**dict(dense.named_parameters()), **dict(dense.named_buffers())}
    for group, gone in zip(groups, removed, strict=True):
        for part in group.producing if producing_only and group.exact else group.slices:
            index = _indices(part, gone)
            with torch.no_grad():
                tensors[part.name].index_fill_(part.dim, index, 0)
    return dense


def cut(model: nn.Module, trace: Trace, removed: Removed) -> nn.Module:
    """A copy without the removed channels."""
    return cut_in_place(copied(model), make_plan(trace, removed, (0, 0), (0, 0)))


def errors(
    model: nn.Module, trace: Trace, example: Any, removed: Removed, dtype: torch.dtype, gain: float = 1.0
) -> dict[str, float]:
    """Relative error of the cut copy on redrawn weights, by mode and reference.

    The keys are ``"eval"`` and ``"train"`` (all slices zeroed) and ``"eval, producing"`` and ``"train, producing"``
    (only what produces the channels zeroed, for exact groups).

    Raises:
        Exception: whatever the cut copy raises in its forward pass.
    """
    model, example = with_torch_norms(copied(model)).to(dtype), converted(example, dtype)
    redraw(model, 0, gain)
    kinds = {"": False, ", producing": True} if any(group.exact for group in trace.groups) else {"": False}
    found = {}
    for mode in ("eval", "train"):
        got = run(cut(model, trace, removed), example, mode)
        for kind, producing_only in kinds.items():
            dense = masked(model, trace.groups, removed, producing_only=producing_only)
            with KeptNorms(dense, trace.groups, removed):
                expected = run(dense, example, mode)
            found[mode + kind] = distance(got, expected)
    return found


def visible_gain(model: nn.Module, trace: Trace, example: Any, removed: Removed) -> float | None:
    """The smallest size of weights at which the removed channels matter to some output, None if there is none.

    A network with thresholds can be silent at weights of ordinary size, and nothing is judged by comparing zeros.
    """
    example = converted(example, torch.float64)
    for gain in (1.0, 10.0, 100.0, 1000.0):
        dense = with_torch_norms(copied(model)).to(torch.float64)
        redraw(dense, 0, gain)
        without = masked(dense, trace.groups, removed, producing_only=False)
        pairs = ((run(without, example, mode), run(dense, example, mode)) for mode in ("eval", "train"))
        if any(distance(one, two) > 1e-6 for one, two in pairs):
            return gain
    return None


class Quiet(TorchFunctionMode):
    """No dropout, constant noise, because draws cannot match at two widths, and a zero of weight norm stays a zero."""

    dropouts = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace dropout and noise."""
        if func in self.dropouts:
            return args[0]
        if func is torch._weight_norm:  # direction, length, dimension
            return torch.nan_to_num(func(*args))
        if func in (torch.rand_like, torch.randn_like):
            return torch.full_like(args[0], 0.5)
        if func is F.multi_head_attention_forward:
            return func(*args, **{**(kwargs or {}), "training": False})
        if func is F.scaled_dot_product_attention:  # query, key, value, mask, dropout
            return func(*args[:4], **{**(kwargs or {}), "dropout_p": 0.0})
        return func(*args, **(kwargs or {}))


class KeptNorms(TorchFunctionMode):
    """Norms over channels that count the kept channels only, if the removed ones belong to an inexact group."""

    def __init__(self, dense: nn.Module, groups: Sequence[ChannelGroup], removed: Removed) -> None:
        super().__init__()
        inexact = [(group, gone) for group, gone in zip(groups, removed, strict=True) if not group.exact]
        self.active = bool(inexact)
        self.kept: dict[int, Tensor] = {}
        tensors = dict(dense.named_parameters())
        for group, gone in inexact:
            for part in group.slices:
                if part.name in tensors:
                    tensor = tensors[part.name]
                    kept = self.kept.setdefault(id(tensor), torch.ones(tensor.shape, dtype=torch.bool))
                    kept.index_fill_(part.dim, _indices(part, gone), False)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace the norms over channels while there is an inexact group."""
        kwargs = kwargs or {}
        if self.active and func in (F.layer_norm, torch.layer_norm):
            return self._layer_norm(*args, **kwargs)
        if self.active and func in (F.rms_norm, torch.rms_norm):
            return self._rms_norm(*args, **kwargs)
        if self.active and func in (F.group_norm, torch.group_norm):
            return self._group_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _mask(self, x: Tensor, weight: Tensor | None, leading: int) -> Tensor:
        """Which positions stay: of an exact group all; without a weight, those that are not zero everywhere."""
        if weight is not None:
            return self.kept.get(id(weight), torch.ones_like(weight, dtype=torch.bool)).to(x)
        return x.flatten(0, leading - 1).ne(0).any(0).to(x)

    def _layer_norm(
        self, x: Tensor, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
    ) -> Tensor:
        kept, dims = self._mask(x, weight, x.dim() - len(shape)), tuple(range(-len(shape), 0))
        centred = (x - (x * kept).sum(dims, keepdim=True) / kept.sum()) * kept
        return self._scaled(centred, centred.pow(2).sum(dims, keepdim=True) / kept.sum(), eps, weight, bias)

    def _rms_norm(self, x: Tensor, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
        kept, dims = self._mask(x, weight, x.dim() - len(shape)), tuple(range(-len(shape), 0))
        power = (x * kept).pow(2).sum(dims, keepdim=True) / kept.sum()
        return self._scaled(x * kept, power, torch.finfo(x.dtype).eps if eps is None else eps, weight, None)

    def _group_norm(
        self, x: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
    ) -> Tensor:
        kept = self._mask(x.movedim(1, -1), weight, x.dim() - 1).view(1, groups, -1, 1)
        parts = x.reshape(x.shape[0], groups, x.shape[1] // groups, -1)
        count = (kept.sum((2, 3), keepdim=True) * parts.shape[-1]).clamp(min=1)
        centred = (parts - (parts * kept).sum((2, 3), keepdim=True) / count) * kept
        variance = centred.pow(2).sum((2, 3), keepdim=True) / count
        normed = (centred / (variance + eps).sqrt()).view_as(x).movedim(1, -1)
        return self._scaled(normed, torch.ones_like(normed), 0.0, weight, bias).movedim(-1, 1)

    @staticmethod
    def _scaled(centred: Tensor, variance: Tensor, eps: float, weight: Any, bias: Any) -> Tensor:
        normed = centred / (variance + eps).sqrt()
        scaled = normed if weight is None else normed * weight
        return scaled if bias is None else scaled + bias


def leaves(value: Any) -> list[Any]:
    """The tensors and other values in nested tuples, lists, dicts and dataclasses."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in leaves(part)]
    if is_dataclass(value):
        return [leaf for field in fields(value) for leaf in leaves(getattr(value, field.name))]
    return leaves(vars(value)) if isinstance(value, SimpleNamespace) else [value]


def forward(model: nn.Module, example: Any) -> Any:
    """Call the model with a tensor, a tuple of arguments or a dict of keyword arguments."""
    if isinstance(example, dict):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


def _indices(part: Slice, gone: Tensor) -> Tensor:
    return torch.tensor([i for i, k in zip(part.index, part.channel, strict=True) if gone[k]], dtype=torch.long)


def converted(value: Any, dtype: torch.dtype) -> Any:
    """Inputs in another type, whole numbers as they are."""
    if isinstance(value, dict):
        return {name: converted(part, dtype) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(converted(part, dtype) for part in value)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def run(model: nn.Module, example: Any, mode: str) -> list[Any]:
    """What a network puts out in a mode, without chance."""
    with Quiet(), torch.no_grad(), same_draws(0):
        return leaves(forward(model.train(mode == "train"), copy.deepcopy(example)))


def distance(got: list[Any], expected: list[Any]) -> float:
    """Largest difference of any output, relative to the largest value of that output; inf where shapes differ."""
    if len(got) != len(expected):
        raise ValueError(f"expected {len(expected)} outputs, got {len(got)}")
    worst = [_difference(one, two) for one, two in zip(got, expected, strict=True) if isinstance(two, Tensor)]
    return max(worst, key=lambda error: float("inf") if error != error else error)


def _difference(got: Tensor, expected: Tensor) -> float:
    if got.shape != expected.shape:
        return float("inf")
    got, expected = got.detach().double(), expected.detach().double()
    return float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
