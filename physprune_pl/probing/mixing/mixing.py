"""Calls that mix channels with a weight: what they read is recorded and taken out, what they make is tainted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.mixing.computed_weights import ComputedWatch
from physprune_pl.probing.mixing.replay import Replay
from physprune_pl.probing.mixing.row_blocks import RowBlock
from physprune_pl.probing.operations.operation_rows import Layout, LooksUp, Mixes
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import INPUT, OUTPUT, Family, Kind, Mixing, Tie
from physprune_pl.probing.watching.tainting import cleaned, nan_along, taint


class MixNotes(Protocol):
    """Where what was seen is written down, and what is known of the run: its probe."""

    names: Mapping[int, str]
    taints: Mapping[Family, Tensor]
    tainted: Collection[str]
    replay: Replay
    computed: ComputedWatch
    ties: list[Tie]
    mixings: list[Mixing]

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which entries of a family are NaN now."""

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""

    def note_loose(self, values: Iterable[Tensor]) -> None:
        """Record parameters and buffers that are used in a way that no rule reads."""

    def wall(self, call: Invocation[Any]) -> Any:
        """Treat a call as a wall."""


@dataclass(frozen=True)
class Crossings:
    """Calls that channels pass along another axis than the one that is mixed: each is mixed by itself.

    The channels of a picture pass so through a layer that mixes its positions.

    Attributes:
        known: what these calls read.
        looking: whether it is still to be found out which do, in a run in which some channels are NaN and some are not.
    """

    known: Collection[Family] = ()
    looking: bool = False

    def __bool__(self) -> bool:
        return self.looking or bool(self.known)


@dataclass(frozen=True)
class Weighted:
    """A call with a weight that has a name.

    Attributes:
        layout: how the weight is stored.
        groups: number of conv groups.
        data, weight, bias: the arguments.
        block, bias_block: of which parameters weight and bias are all rows, or some.
        name, bias_name: the names of these.
    """

    layout: Layout
    groups: int
    data: Tensor
    weight: Tensor
    bias: Any
    block: RowBlock
    bias_block: RowBlock
    name: str
    bias_name: str | None

    @property
    def reads(self) -> Family:
        """The channels that go in."""
        return self.name, self.layout.input_dim if self.groups == 1 else INPUT

    @property
    def source(self) -> Family:
        """The channels that come out."""
        return self.name, OUTPUT if self.groups > 1 and self.layout.transposed else self.layout.output_dim

    @property
    def whole(self) -> bool:
        """Whether weight and bias are whole parameters."""
        return self.block.whole and self.bias_block.whole

    def positions(self, output: Tensor) -> int:
        """Return how often the weight is applied."""
        slid_over = self.data if self.layout.transposed else output
        return slid_over.numel() // slid_over.shape[self.layout.axis]


class MixWatch:
    """Watches in one run the calls that mix channels with a weight.

    Attributes:
        crossed: what those calls read that channels pass along another axis than the one that is mixed -> whether they
            pass at every position.
    """

    def __init__(self, notes: MixNotes, crossings: Crossings) -> None:
        self.notes, self.crossings = notes, crossings
        self.crossed: dict[Family, bool] = {}

    def mix(self, call: Invocation[Mixes]) -> Any:
        """Record what a call reads, make it on clean data and taint what it makes."""
        found = self._weighted(call)
        if found is None:
            return self.notes.wall(call)
        self.notes.note_loose([found.data])
        reached = nan_along(found.data, found.layout.axis)
        passing = self._passing(found) if self.crossings and bool(reached.all()) else None
        if passing is not None:
            reached = nan_along(found.data.masked_fill(passing, 0.0), found.layout.axis)
        for family in (found.reads, *self.notes.computed.lengths_of(found.reads)):
            self.notes.see("consumer", family, reached)
        output = self._output(self._without_computed(call, found), found)
        self._note(found, output)
        if passing is not None and _alike_but(found.layout.axis, output, passing):
            output = output.masked_fill(passing, float("nan"))
        if found.source not in self.notes.taints:
            return output
        return taint(output, found.layout.axis, found.block.part_of(self.notes.taints[found.source]))

    def _passing(self, found: Weighted) -> Tensor | None:
        """Return the positions that channels pass along another axis: those at which all that is mixed is NaN."""
        nan, axis = found.data.isnan(), found.layout.axis
        every = nan.all(axis, keepdim=True)
        if self.crossings.looking and (bool(every.all()) or not torch.equal(every, nan.any(axis, keepdim=True))):
            return None
        if not self.crossings.looking and found.reads not in self.crossings.known:
            return None
        self.crossed[found.reads] = bool(every.all())
        return every

    def look_up(self, call: Invocation[LooksUp]) -> Any:
        """Taint the columns of a table."""
        output, name = call.run(), self.notes.name_of(call.get(call.row.weight))
        if name is None:
            return output
        source = (name, 1)
        self.notes.mixings.append(Mixing(name, None, source, output.shape[-1], 0))
        return taint(output, -1, self.notes.taints[source]) if source in self.notes.taints else output

    def _weighted(self, call: Invocation[Mixes]) -> Weighted | None:
        """Read the arguments of a call; None if its weight has no name, or is a part that does not hold whole rows."""
        row, args, kwargs = call.row, call.args, call.kwargs
        data, weight, bias = row.operands(args, kwargs)
        block, bias_block = RowBlock.of(weight), RowBlock.of(bias)
        layout, groups, name = row.layout(args, kwargs), row.groups(args, kwargs), self.notes.name_of(block.owner)
        if name is None or not (block.whole or (groups == 1 and layout.output_dim == 0)):
            return None
        bias_name = self.notes.name_of(bias_block.owner)
        return Weighted(layout, groups, data, weight, bias, block, bias_block, name, bias_name)

    def _without_computed(self, call: Invocation[Mixes], found: Weighted) -> Invocation[Mixes]:
        """Record what reaches a weight or a bias that is put together from other tensors, and return it clean."""
        weight, bias = found.weight, found.bias
        if isinstance(bias, Tensor) and bias.dim() == 1 and self._is_computed(bias):
            self.notes.see("bias", found.source, bias.isnan())
            call = call.swapped(bias, cleaned(bias))
        if self._is_computed(weight) and found.reads[1] != INPUT and found.source[1] != OUTPUT:
            self.notes.see("bias", found.source, nan_along(weight, found.layout.output_dim))
            self.notes.see("bias", found.reads, nan_along(weight, found.layout.input_dim))
            call = call.swapped(weight, cleaned(weight))
        return call

    def _is_computed(self, tensor: Tensor) -> bool:
        """Return whether a tensor is neither a parameter or buffer nor some rows of one."""
        return id(tensor) not in self.notes.names and id(RowBlock.of(tensor).owner) not in self.notes.names

    def _output(self, call: Invocation[Mixes], found: Weighted) -> Tensor:
        replay, tainted = self.notes.replay, self.notes.tainted
        if found.name in tainted or found.bias_name in tainted:
            replay.skip()
            own: Tensor = call.run_clean()
            return own
        return replay.output((found.name, found.data.shape), call.run_clean)

    def _note(self, found: Weighted, output: Tensor) -> None:
        """Write down what a call makes."""
        outputs, positions = output.shape[found.layout.axis], found.positions(output)
        if found.whole:
            mixing = Mixing(found.name, found.bias_name, found.source, outputs, positions)
        else:
            rows = found.block.owner.shape[0]
            mixing = Mixing(found.name, None, found.source, rows, positions, Fraction(found.block.rows, rows))
            self._tie_bias(found)
        if found.groups > 1:
            self._tie_groups(found, outputs)
        self.notes.mixings.append(mixing)

    def _tie_bias(self, found: Weighted) -> None:
        """Couple rows of a weight with those of a bias, either of which may be a part of a longer one."""
        if found.bias_name is not None:
            family, bias = (found.bias_name, 0), found.bias_block
            self.notes.see("carrier", family, torch.zeros(bias.owner.shape[0], dtype=torch.bool))
            self.notes.ties.append((found.source, found.block.index, family, bias.index))

    def _tie_groups(self, found: Weighted, outputs: int) -> None:
        """Couple the inputs, rows and outputs of every conv group into one unit."""
        reads, inputs = found.reads, found.data.shape[found.layout.axis]
        size, own, made = inputs // found.groups, torch.arange(inputs), torch.arange(outputs)
        self.notes.ties.append((reads, own, reads, own // size * size))
        self.notes.ties.append((found.source, made, reads, made // (outputs // found.groups) * size))
        if found.layout.transposed:
            self.notes.ties.append(((found.name, 0), own, reads, own))


def _alike_but(axis: int, one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same sizes but along an axis."""
    return one.select(axis, 0).shape == other.select(axis, 0).shape
