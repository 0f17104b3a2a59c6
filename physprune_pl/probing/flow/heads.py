"""Finds attention heads while a model runs: what is multiplied for one head stays or goes together.

A *unit* is one entry of the axes between the first, the samples, and the last two of a product of activations: a head
of ``[batch, heads, tokens, head size]``, or what a head does in a window of ``[batch, heads, windows, tokens, head
size]``. Every slot that takes part in the products of a unit is tied to it, and the units of one head are tied by the
channels that they share, so no rule for an architecture is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.operations.operation_rows import ActivationProduct, Attention, Softmax
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Kind, Tie
from physprune_pl.probing.watching.tainting import cleaned

_MARK, _TABLE = "_physprune_heads", "_physprune_table_of_heads"

Axes = tuple[int, ...]
"""Sizes of axes."""


@dataclass(frozen=True)
class Product:
    """MACs of one sample that are shared out evenly among the units of a family."""

    units: Family
    macs: int


class HeadNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    mode: str
    ties: list[Tie]

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which slots of a family are NaN now."""


@dataclass(frozen=True)
class Operands:
    """The tensors of a call of ``scaled_dot_product_attention``."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None

    @classmethod
    def of(cls, call: Invocation[Attention]) -> Operands:
        """Read the arguments of a call."""
        row = call.row
        return cls(*map(call.get, (row.query, row.key, row.value, row.mask)))

    @property
    def macs(self) -> int:
        """MACs of both products."""
        queries, keys = self.query.shape[-2], self.key.shape[-2]
        heads = max(self.query.shape[:-2].numel(), self.key.shape[:-2].numel())
        return heads * queries * keys * (self.query.shape[-1] + self.value.shape[-1])


class HeadWatch:
    """Watches products of activations in one run.

    Attributes:
        products: what they cost.
        units: family of units, or of slots that are tied to some -> sizes of the axes that the units are entries of.
    """

    def __init__(self, notes: HeadNotes) -> None:
        self.notes = notes
        self.products: list[Product] = []
        self.units: dict[Family, Axes] = {}
        self._calls = 0
        self._tables = False

    def attend(self, call: Invocation[Attention]) -> Any:
        """Compute fused attention on clean data; its output carries the channels of the values."""
        given = Operands.of(call)
        clean = {key: _clean(value) for key, value in call.kwargs.items()}
        output = call.func(*[_clean(value) for value in call.args], **clean)
        axes = tuple(map(max, zip(*_aligned(_axes(given.query), _axes(given.key)), strict=True)))
        units = self._new_units(axes, _reached(given.mask, axes))
        if given.mask is not None and _TABLE in vars(given.mask):
            self._together(units, getattr(given.mask, _TABLE))
        for name, tensor in (("query", given.query), ("key", given.key), ("value", given.value)):
            self._tie(units, name, tensor.isnan().any(-2))
        self.products.append(Product(units, given.macs))
        tainted = given.value.isnan().any(-2, keepdim=True)
        if tainted.dim() > 2:
            tainted = _repeated(tainted, -3, axes[-1])
        return output.masked_fill(tainted, float("nan"))

    def multiply(self, call: Invocation[ActivationProduct]) -> Any:
        """Compute a product of two activations: what is summed over in one unit belongs together.

        A product with a product (scores with values) ties the other axis of the values too.
        """
        output = call.run()
        left, right = call.data, call.get(call.row.other)
        if not (isinstance(left, Tensor) and isinstance(right, Tensor) and left.dim() > 2 and right.dim() > 2):
            return output
        marks = [mark for mark in (getattr(left, _MARK, None), getattr(right, _MARK, None)) if mark is not None]
        units = self._new_units(_axes(output), None)
        self._tie(units, "left", left.isnan().any(-2))
        self._tie(units, "right", right.isnan().any(-1))
        if marks:
            self._tie(units, "left rows", left.isnan().any(-1))
            self._tie(units, "right columns", right.isnan().any(-2))
        for mark in marks:
            self._together(units, mark)
        self.products.append(Product(units, output.numel() * left.shape[-1]))
        setattr(output, _MARK, units)
        return output

    def table(self, tensor: Tensor) -> Family:
        """Take ``[..., heads, rows, columns]`` for what was made for so many heads, and return these.

        Whatever attends with it, such as several layers that share one bias of positions, has as many heads.
        """
        self._tables = True
        units = self._new_units(_axes(tensor), None)
        setattr(tensor, _TABLE, units)
        return units

    def are_scores(self, tensor: Tensor) -> bool:
        """Return whether a tensor comes from a product of activations."""
        return _MARK in vars(tensor)  # many times faster than hasattr

    def normalise(self, call: Invocation[Softmax]) -> Any:
        """Compute a softmax of scores, clean afterwards, because what reached them is tied to its unit."""
        data = call.data
        units = getattr(data, _MARK)
        self.notes.see("head", units, _reached(data, self.units[units]))
        output = cleaned(call.run())
        setattr(output, _MARK, units)
        return output

    def follow(self, inputs: list[Tensor], output: Any) -> None:
        """Hand the mark of scores, or of tables, on to what has their shape."""
        if self._tables:
            self._follow_table(inputs, output)
        marked = next((tensor for tensor in inputs if self.are_scores(tensor)), None)
        if marked is None or not isinstance(output, Tensor) or output.dim() < 3:
            return
        kept = 2 + len(self.units[getattr(marked, _MARK)])
        if output.shape[-kept:] == marked.shape[-kept:]:
            setattr(output, _MARK, getattr(marked, _MARK))

    def _follow_table(self, inputs: list[Tensor], output: Any) -> None:
        table = next((tensor for tensor in inputs if _TABLE in vars(tensor)), None)
        if table is None or not isinstance(output, Tensor) or output.shape[-3:] != table.shape[-3:]:
            return
        setattr(output, _TABLE, getattr(table, _TABLE))
        for scores in filter(self.are_scores, inputs):
            self._together(getattr(scores, _MARK), getattr(table, _TABLE))

    def _together(self, one: Family, other: Family) -> None:
        """Tie the units of two products, one by one, if there are as many."""
        if self.units[one] == self.units[other]:
            everything = torch.arange(prod(self.units[one]))
            self.notes.ties.append((one, everything, other, everything))

    def _new_units(self, axes: Axes, reached: Tensor | None) -> Family:
        units = (f"{self.notes.mode} heads {self._calls}", 0)
        self._calls += 1
        self.units[units] = axes
        self.notes.see("head", units, torch.zeros(prod(axes), dtype=torch.bool) if reached is None else reached)
        return units

    def _tie(self, units: Family, name: str, pattern: Tensor) -> None:
        """Tie the slots ``[..., *axes, size]`` of an operand to their units."""
        axes, size = self.units[units], pattern.shape[-1]
        family = (f"{units[0]} {name}", 0)
        self.notes.see("head", family, _by_unit(pattern, axes, 1).flatten())
        self.units[family] = axes
        slots = torch.arange(prod(axes) * size)
        self.notes.ties.append((family, slots, units, slots // size))


def _axes(tensor: Tensor) -> Axes:
    """Return the sizes of the axes whose entries are units: those of samples and of matrices are none."""
    return tuple(tensor.shape[min(1, max(0, tensor.dim() - 3)) : -2]) or (1,)


def _aligned(one: Axes, other: Axes) -> tuple[Axes, Axes]:
    """Return as many sizes of both, the missing first ones as 1."""
    most = max(len(one), len(other))
    return (1,) * (most - len(one)) + one, (1,) * (most - len(other)) + other


def _by_unit(mask: Tensor, axes: Axes, keep: int) -> Tensor:
    """Return a mask ``[..., *axes, *kept]`` as ``[units, *kept]``; what lacks an axis is the same all along it."""
    mask = mask.reshape(*[1] * max(0, len(axes) + keep - mask.dim()), *mask.shape)
    more = mask.dim() - len(axes) - keep
    mask = mask.flatten(0, more - 1).any(0) if more else mask
    for axis, count in enumerate(axes):
        mask = _repeated(mask, axis, count)
    return mask.flatten(0, len(axes) - 1)


def _repeated(mask: Tensor, axis: int, count: int) -> Tensor:
    """Repeat the entries of an axis to so many: several query heads may share a key head."""
    return mask if mask.shape[axis] == count else mask.repeat_interleave(count // mask.shape[axis], axis)


def _reached(tensor: Tensor | None, axes: Axes) -> Tensor:
    """Return for every unit whether anything in ``[..., *axes, rows, columns]`` is NaN."""
    if tensor is None or tensor.dim() < 3:
        return torch.zeros(prod(axes), dtype=torch.bool)
    return _by_unit(tensor.isnan().flatten(-2).any(-1), axes, 0)


def _clean(value: Any) -> Any:
    # Infinity stays: it is what masks are made of.
    return value.masked_fill(value.isnan(), 0.0) if isinstance(value, Tensor) else value
