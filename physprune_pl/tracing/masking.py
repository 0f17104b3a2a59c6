"""Copies of a network that a cut can be compared with: drawn anew, and masked instead of cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import copied, set_training, twin
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.tainting import has_nan
from physprune_pl.structure import ChannelGroup
from physprune_pl.tracing.kept_norms import Removed

Removal = Mapping[str, Tensor]


def zero_removed(
    model: nn.Module, groups: Sequence[ChannelGroup], removal: Removal, producing: Collection[str]
) -> Removed:
    """Zero the slices of removed channels, of the named groups only the producing ones.

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
            if part.role != "buffer":
                if id(tensor) not in own:
                    tensor.data = tensor.data.clone()
                    own.add(id(tensor))
                tensor.data.index_fill_(part.dim, index.to(tensor.device), 0.0)
            if everything:
                fresh = torch.zeros(tensor.shape[part.dim], dtype=torch.bool)
                mask = norms.tensors.setdefault((id(tensor), part.dim), fresh)
                mask[index] = True
    return norms


def redrawn(model: nn.Module, example: Example, mixing_weights: set[str]) -> tuple[nn.Module, Example]:
    """Return a copy with random parameters and inputs, in double precision where the model runs in it."""
    base = copied(model).requires_grad_(False)
    _draw(base, mixing_weights)
    for candidate, dtype in _in_types(base):
        for inputs in _inputs(example):
            cast = inputs.map(partial(_cast, dtype=dtype))
            if runs(candidate, cast, training=False):
                return candidate, cast
    return base.float(), example.map(partial(_cast, dtype=torch.float32))


def _in_types(model: nn.Module) -> Iterator[tuple[nn.Module, torch.dtype]]:
    """Yield copies in double precision, on a device that has it, and in single."""
    for dtype in (torch.float64, torch.float32):
        try:
            candidate = twin(model).to(dtype)
        except TypeError:  # what devices without double precision raise
            continue
        yield candidate, dtype


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


def runs(model: nn.Module, example: Example, training: bool) -> bool:
    """Return whether a model runs on an example without raising or putting out NaN."""
    saved = SavedState(model)  # what a first run makes, a cut copy has to make by itself
    with set_training(model, training):
        try:
            output = example.copy().run(model)
        except Exception:  # a model may insist on another precision or on other inputs; those are tried next
            return False
        finally:
            saved.restore()
    return not any(has_nan(tensor) for tensor in tensors_in(output))


def _draw(model: nn.Module, mixing_weights: set[str]) -> None:
    for name, tensor in named_tensors(model).items():
        if not tensor.is_floating_point():
            continue
        if name in mixing_weights and tensor.dim() > 1:
            tensor.normal_(0.0, math.sqrt(2.0 / max(1, tensor[0].numel())))
        elif isinstance(tensor, nn.Parameter) or name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            # Below zero: what a silent channel then still puts out is positive, and no ReLU hides it.
            tensor.uniform_(-0.5, 0.0)
        else:  # a table or mask keeps its zeros and infinities
            tensor.data = tensor * torch.empty_like(tensor).uniform_(0.5, 1.5)
