"""Weights that are computed from a parameter of their shape: by weight norm, spectral norm, or element by element.

What is computed stands for the parameter: it has the same channels in the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm

from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.operations.operation_rows import LengthsTimesDirections
from physprune_pl.probing.operations.operations import operation_of
from physprune_pl.probing.watching.observations import Family, Tie
from physprune_pl.probing.watching.tainting import tensors_of_call


class ComputedWeights:
    """Knows, within one run, which tensors stand for a parameter.

    Args:
        own: ``id`` of the parameters and buffers of the model.
    """

    def __init__(self, own: Collection[int]) -> None:
        self._own = own
        # A tensor that nobody held any longer would hand its id on to another one.
        self._known: dict[int, tuple[Tensor, nn.Parameter]] = {}
        self._fixed: dict[int, Tensor] = {}

    def original(self, value: Any) -> Any:
        """Return the parameter that a tensor stands for; any other value as it is."""
        return self._known[id(value)][1] if id(value) in self._known else value

    def follow(self, func: Callable[..., Any], args: tuple[Any, ...], output: Any) -> bool:
        """Remember the output of an operation if it stands for a parameter, and tell whether it does.

        It does if it is made, element by element, of a parameter and of what does not depend on the data.
        """
        inputs = tensors_of_call(args, {})
        if not all(id(one) in self._own or id(one) in self._fixed for one in inputs):
            return False
        self._fixed |= {id(one): one for one in tensors_in(output)}
        if not isinstance(output, Tensor):
            return False
        source = next((value for value in map(self.original, args) if isinstance(value, nn.Parameter)), None)
        if source is None or source.dim() < 2 or output.shape != source.shape:
            return False
        if operation_of(func).makes_weights:
            self._known[id(output)] = (output, source)
            return True
        return False


def direction_and_length(func: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Tensor, Tensor, int] | None:
    """Return what weight norm computes a weight from, and the dimension with a length of its own for every index.

    None of any other operation, and where the whole weight has one length.
    """
    row = operation_of(func)
    if not isinstance(row, LengthsTimesDirections):
        return None
    direction, length, dim = (one.of(args, {}) for one in (row.data, row.length, row.axis))
    return (direction, length, dim) if length.dim() == direction.dim() else None


class ComputedNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    names: Mapping[int, str]
    ties: list[Tie]
    inexact: set[Family]

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""


class ComputedWatch(ComputedWeights):
    """Notes besides what lies beside the entries of a weight: lengths of weight norm, scales, masks."""

    def __init__(self, notes: ComputedNotes) -> None:
        super().__init__(notes.names)
        self.notes = notes
        self._lengths: dict[Family, Family] = {}

    def follow(self, func: Callable[..., Any], args: tuple[Any, ...], output: Any) -> bool:
        """Remember the output of an operation if it stands for a parameter, and tell whether it does."""
        known = super().follow(func, args, output)
        parts = direction_and_length(func, args) if known else None
        if parts is not None:
            self._note(*parts)
        elif known:
            self.tie(self.original(output), tensors_of_call(args, {}))
        return known

    def tie(self, weight: Tensor, others: Iterable[Tensor], axis: int | None = None) -> None:
        """Tie tensors with names to the weight that they lie beside: from its last dimension on, or along an axis."""
        name = str(self.notes.name_of(weight))
        for other in others:
            beside = self.notes.name_of(other)
            if beside is None or beside == name:
                continue
            for dim, size in enumerate(other.shape):
                place = weight.dim() - other.dim() + dim if axis is None else axis
                if size > 1 and weight.shape[place] == size:
                    index = torch.arange(size)
                    self.notes.ties.append(((beside, dim), index, (name, place), index))

    def _note(self, direction: Tensor, length: Tensor, dim: int) -> None:
        """Tie every length to its index of the direction; a norm over channels makes a group inexact."""
        names = str(self.notes.name_of(direction)), str(self.notes.name_of(length))
        index = torch.arange(direction.shape[dim])
        one, other = ((name, dim) for name in names)
        self.notes.ties += [(one, index, other, index), (other, index, one, index)]
        self.notes.inexact |= {(names[0], place) for place in range(direction.dim()) if place != dim}
        self._lengths[one] = other

    def lengths_of(self, family: Family) -> list[Family]:
        """Return the lengths that belong to a dimension of a direction, if there are any."""
        return [self._lengths[family]] if family in self._lengths else []


def normed_by_length(direction: Tensor, length: Tensor, dim: int = 0) -> Tensor:
    """Return what weight norm computes, and 0 instead of 0 / 0 for a direction that is zero.

    Args:
        direction: v, of any shape.
        length: g, as large as v along ``dim`` and 1 along all others.
        dim: the dimension with a length of its own for every index.

    Example:
        >>> normed_by_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[10.0], [1.0]]))
        tensor([[6., 8.],
                [0., 0.]])
    """
    norm = torch.norm_except_dim(direction, 2, dim)
    return direction * (length / norm.masked_fill(norm == 0, 1.0))


class SpectralNormed(NamedTuple):
    """A weight under spectral norm, and the vectors of its power iteration.

    Attributes:
        weight: the parameter.
        rows: one entry for every index of ``dim``.
        columns: one entry for every index of all other dimensions, the last of them fastest.
        dim: 1 for transposed convolutions, else 0.
        groups: conv groups of its module.
    """

    weight: Tensor
    rows: Tensor
    columns: Tensor
    dim: int
    groups: int


def spectral_ties(model: nn.Module) -> list[Tie]:
    """Return which entries of the vectors of spectral norms belong to which channels of their weights."""
    names = {id(tensor): name for name, tensor in named_tensors(model).items()}
    ties: list[Tie] = []
    for weight, rows, columns, dim, groups in spectral_norms(model):
        window = weight[0, 0].numel()
        for vector, owner, step in ((rows, dim, 1), (columns, 1 - dim, window)):
            if owner == 0 or groups == 1:  # the inputs of a conv group are no channels of the network
                entry = torch.arange(len(vector))
                ties.append(((names[id(vector)], 0), entry, (names[id(weight)], owner), entry // step))
    return ties


def spectral_norms(model: nn.Module) -> Iterator[SpectralNormed]:
    """Yield the weights under spectral norm, by parametrization or by hook."""
    for module in model.modules():
        groups = getattr(module, "groups", 1)
        for parametrization in getattr(module, "parametrizations", {}).values():
            norm = parametrization[0]
            if isinstance(norm, parametrizations._SpectralNorm) and len(parametrization) == 1 and hasattr(norm, "_u"):
                yield SpectralNormed(parametrization.original, norm._u, norm._v, norm.dim, groups)
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                weight, rows, columns = (getattr(module, f"{hook.name}_{part}") for part in ("orig", "u", "v"))
                yield SpectralNormed(weight, rows, columns, hook.dim, groups)
