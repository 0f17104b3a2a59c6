"""What tracing a model leaves behind, as plain data: groups, and the calls that the cost of the model is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from physprune_pl.channels import ChannelGroup, LeftWhole


@dataclass(frozen=True)
class MixingCall:
    """One call that multiplies channels with a weight: a convolution or a linear layer, at the shapes of the trace.

    The call costs ``positions * prod(shape of the weight)`` multiply-adds for one sample, so after a cut
    ``positions * prod(kept sizes of the weight)``. A weight that is called twice has two of these. A call that uses
    some rows of the weight only costs their share of that.

    Attributes:
        weight: path of the weight in the traced model.
        positions: how often the whole weight is applied to one sample (output pixels of a convolution, input pixels
            of a transposed one, tokens of a linear layer).
        dims: dimensions of the weight whose sizes are multiplied, None for all of them. An attention product costs
            ``positions * heads * head size``, the size of one dimension of its output projection.
        share: part of the weight's rows that the call uses.
    """

    weight: str
    positions: int
    dims: tuple[int, ...] | None = None
    share: Fraction = Fraction(1)

    def macs(self, shape: Sequence[int]) -> int:
        """Multiply-adds of the call for a shape of the weight.

        >>> MixingCall("fc.weight", positions=7).macs((3, 4))
        84
        """
        return int(
            self.share * self.positions * prod(shape if self.dims is None else [shape[dim] for dim in self.dims])
        )


@dataclass(frozen=True)
class Trace:
    """A model as pruning sees it.

    Attributes:
        groups: channels that can be removed, by group.
        left_whole: modules that are never cut, with the reason.
        calls: every call that costs multiply-adds and changes with a cut.
        seconds: wall time of the trace.
        shapes: shape of every parameter and buffer; a tensor under several names appears once, under its first.
        parameters: names of the parameters that were used while tracing.
        notes: what the user should know about the trace.
        fixed_macs: multiply-adds of one sample that no entry of ``calls`` covers.
        buffers: names in ``shapes`` that are buffers.
    """

    groups: tuple[ChannelGroup, ...]
    left_whole: tuple[LeftWhole, ...]
    calls: tuple[MixingCall, ...]
    seconds: float
    shapes: dict[str, tuple[int, ...]]
    parameters: frozenset[str]
    notes: tuple[str, ...]
    fixed_macs: int
    buffers: frozenset[str]

    def summary(self) -> str:
        """Say in a sentence what was found."""
        channels = sum(group.size for group in self.groups)
        return (
            f"Traced in {self.seconds:.1f} s; groups: {len(self.groups)} with {channels} channels, modules left whole: "
            f"{len(self.left_whole)}."
        )
