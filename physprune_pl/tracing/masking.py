"""Copies of a network that a cut can be compared with: drawn anew, and masked instead of cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import copied, twin
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.taking import Scratch
from physprune_pl.structure import ChannelGroup
from physprune_pl.tracing.kept_norms import Removed
from physprune_pl.tracing.large_weights import LargeWeights, large_weights
from physprune_pl.tracing.runs import runs

Removal = Mapping[str, Tensor]


def zero_removed(
    model: nn.Module,
    groups: Sequence[ChannelGroup],
    removal: Removal,
    producing: Collection[str],
    large: LargeWeights,
) -> Removed:
    """Zero the slices of removed channels, of the named groups only the producing ones.

    Large weights are masked where they are used.

    Returns:
        What norms over channels must leave out, unless zeros alone should do.
    """
    tensors, own, norms = named_tensors(model), set[int](), Removed()
    for group in groups:
        everything = group.name not in producing
        if everything:
            norms.note(group, removal[group.name])
        for part in group.slices if everything else group.producing:
            gone = removal[group.name][torch.tensor(part.channel)]
            index = torch.tensor(part.index)[gone]
            tensor = tensors[part.name]
            if part.role != "buffer" and not large.mask(tensor, part.dim, index):
                if id(tensor) not in own:
                    tensor.data = tensor.data.clone()
                    own.add(id(tensor))
                tensor.data.index_fill_(part.dim, index.to(tensor.device), 0.0)
            if everything:
                fresh = torch.zeros(tensor.shape[part.dim], dtype=torch.bool)
                mask = norms.tensors.setdefault((id(tensor), part.dim), fresh)
                mask[index] = True
    return norms


@dataclass(frozen=True)
class Redrawn:
    """A network with random parameters and inputs.

    Attributes:
        model: a copy of the network, in the given type but for its large weights.
        example: inputs of that type.
        dtype: the type.
        large: names of the large weights, which are lengthened where they are used.
        runs: whether the copy runs on these inputs in eval mode.
        scratch: memory for parts of large weights.
    """

    model: nn.Module
    example: Example
    dtype: torch.dtype
    large: frozenset[str]
    runs: bool
    scratch: tuple[Scratch, Scratch, Scratch] = field(default_factory=lambda: (Scratch(), Scratch(), Scratch()))

    def weights_of(self, model: nn.Module) -> LargeWeights:
        """Return what lets a copy, or a cut copy, compute with its large weights."""
        return LargeWeights(named_tensors(model), self.large, self.dtype, self.scratch)


def redrawn(model: nn.Module, example: Example, mixing_weights: set[str]) -> Redrawn:
    """Return a copy with random parameters and inputs, in double precision where the model runs in it."""
    base = copied(model).requires_grad_(False)
    _draw(base, mixing_weights)
    large = large_weights(base, example)
    for candidate, dtype in _in_types(base, large):
        for inputs in _inputs(example):
            found = Redrawn(candidate, inputs.map(partial(_cast, dtype=dtype)), dtype, large, True)
            with found.weights_of(candidate):
                if runs(candidate, found.example, training=False):
                    return found
    short = torch.float32
    return Redrawn(in_type(base, short, large), example.map(partial(_cast, dtype=short)), short, large, False)


def _in_types(model: nn.Module, large: Collection[str]) -> Iterator[tuple[nn.Module, torch.dtype]]:
    """Yield copies in double precision, on a device that has it, and in single."""
    for dtype in (torch.float64, torch.float32):
        try:
            candidate = in_type(twin(model), dtype, large)
        except TypeError:  # what devices without double precision raise
            continue
        yield candidate, dtype


def in_type(model: nn.Module, dtype: torch.dtype, large: Collection[str]) -> nn.Module:
    """Return a model, cast to a type but for its large weights."""
    tensors = named_tensors(model)
    kept = {id(tensors[name]) for name in large}
    model._apply(lambda tensor: tensor if id(tensor) in kept else _cast(tensor, dtype))  # type: ignore[no-untyped-call]
    return model


def _inputs(example: Example) -> list[Example]:
    """Return inputs to try: normal, positive, and close to the given ones, for models that accept no others."""
    changes: list[Callable[[Tensor], Tensor]] = [
        torch.randn_like,
        lambda x: torch.rand_like(x) + 0.5,
        lambda x: x * (torch.rand_like(x) + 0.5),
        torch.clone,
    ]
    return [example.map(partial(_change, change=change)) for change in changes]


def _change(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(tensor) if tensor.is_floating_point() else tensor


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _draw(model: nn.Module, mixing_weights: set[str]) -> None:
    for name, tensor in named_tensors(model).items():
        if not tensor.is_floating_point():
            continue
        if name in mixing_weights and tensor.dim() > 1:
            _draw_normal(tensor, math.sqrt(2.0 / max(1, tensor[0].numel())))
        elif isinstance(tensor, nn.Parameter) or name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            # Below zero: what a silent channel then still puts out is positive, and no ReLU hides it.
            tensor.uniform_(-0.5, 0.0)
        else:  # a table or mask keeps its zeros and infinities
            tensor.data = tensor * torch.empty_like(tensor).uniform_(0.5, 1.5)


_DRAWN = 2**20 + 7
"""So many numbers are drawn for one tensor; they come again in a larger one, but never in the same column soon."""


def _draw_normal(tensor: Tensor, deviation: float) -> None:
    if tensor.numel() <= _DRAWN or not tensor.is_contiguous():
        tensor.normal_(0.0, deviation)
        return
    drawn = tensor.new_empty(_DRAWN).normal_(0.0, deviation)
    flat = tensor.view(-1)
    for start in range(0, len(flat), _DRAWN):
        part = flat[start : start + _DRAWN]
        part.copy_(drawn[: len(part)])
