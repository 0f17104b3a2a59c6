"""Sums of two activations, behind which nobody can tell any more which of them a channel comes from.

The channels of a residual stream go from sum to sum. Where both operands have the same channels in the same places, a
sum is taken for a source of its own: what goes in is recorded and taken out, what comes out is tainted by itself. So a
source reaches no further than to the next sum, and sources far from one another can be looked at in one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Observation
from physprune_pl.probing.watching.tainting import nan_along, taint

_SUMS = {torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__}


@dataclass
class Junctions:
    """What is known of the sums of a model.

    Attributes:
        axes: number of a sum of a run -> the axis of its channels, of sums that are sources of their own.
        looking: whether it is still to be found out along which axis channels lie.
    """

    axes: Mapping[int, int] = field(default_factory=dict)
    looking: bool = False


class JunctionNotes(Protocol):
    """Where what was seen is written down, and what is known of the run: its probe."""

    mode: str
    taints: Mapping[Family, Tensor]
    observations: list[Observation]
    flow: Flow | None
    ended: Family | None

    def are_scores(self, tensor: Tensor) -> bool:
        """Return whether a tensor comes from a product of activations."""


class JunctionWatch:
    """Watches the sums of one run.

    Args:
        notes: the probe.
        known: which sums are sources.
        stopping: whether what comes to these is taken out.

    Attributes:
        met: number of a sum of two activations -> bits of the sources that may flow into it, if the flow of the run is
            followed.
        striped: number of a sum -> the axis along which its entries are NaN in turn, and how long that is.
    """

    def __init__(self, notes: JunctionNotes, known: Junctions, stopping: bool) -> None:
        self.notes, self.known, self.stopping = notes, known, stopping
        self.met: dict[int, int] = {}
        self.striped: dict[int, tuple[int, int]] = {}
        self._count = -1

    def meet(self, call: Invocation[Any], inputs: list[Tensor], output: Any) -> Any:
        """Return what a call puts out; where it is a sum that is a source, without what came to it."""
        if call.func not in _SUMS or not _of_two(inputs, output) or self.notes.are_scores(output):
            return output
        self._count += 1
        axis = self.known.axes.get(self._count)
        if axis is not None:
            return self._pass(output, axis, in_place=output is call.args[0])
        flow = self.notes.flow
        if flow is not None and all(flow.reaching([one]) for one in inputs):
            self.met[self._count] = flow.reaching(inputs)
        if self.notes.taints and self.known.looking:
            self._look(output)
        return output

    def _look(self, output: Tensor) -> None:
        """Find the axis along which one entry is NaN and the next one is not, all the way."""
        nan = output.isnan()
        for axis in range(1, output.dim()):
            line = nan.movedim(axis, 0).flatten(1)
            first = line[:, 0]
            if len(first) > 1 and bool((first[1:] != first[:-1]).all()) and bool((line == first[:, None]).all()):
                self.striped[self._count] = axis, len(first)
                return

    def _pass(self, output: Tensor, axis: int, in_place: bool) -> Tensor:
        family = (f"{self.notes.mode} sum {self._count}", 0)
        pattern = nan_along(output, axis)
        self.notes.observations.append(Observation("sum", family, pattern.detach().cpu()))
        if not self.stopping:
            return output
        self.notes.ended = family
        if bool(pattern.any()):
            output = _filled(output, output.isnan(), 0.0, in_place)
        if family not in self.notes.taints:
            return output
        if not in_place:
            return taint(output, axis, self.notes.taints[family])
        shape = [1] * output.dim()
        shape[axis] = -1
        return _filled(output, self.notes.taints[family].to(output.device).view(shape), float("nan"), in_place)


def _of_two(inputs: list[Tensor], output: Any) -> bool:
    return (
        len(inputs) == 2
        and isinstance(output, Tensor)
        and output.is_floating_point()
        and output.dim() > 1
        and output.numel() > 0
        and output.layout is torch.strided
        and all(one.shape == output.shape and one.is_floating_point() for one in inputs)
        and output._base is None
    )


def _filled(tensor: Tensor, mask: Tensor, value: float, in_place: bool) -> Tensor:
    return tensor.masked_fill_(mask, value) if in_place else tensor.masked_fill(mask, value)
