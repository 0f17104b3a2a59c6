"""What a watched run writes down: which slots were NaN where, and which calls mixed channels.

A *family* is one dimension of one tensor, ``(tensor name, dim)``; its indices are the slots that the trace couples.
Two dimensions are not of a tensor's shape: ``INPUT`` (the channels that a grouped convolution reads) and ``OUTPUT``
(those that a grouped transposed convolution writes).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from torch import Tensor

Family = tuple[str, int]
Tie = tuple[Family, Tensor, Family, Tensor]
"""Slots of two families that carry the same channels, pairwise."""
Kind = Literal["consumer", "carrier", "norm", "part", "size", "head", "bias", "opaque", "sum"]
INPUT, OUTPUT = -1, -2


@dataclass(frozen=True)
class Observation:
    """Which entries of a family were NaN when an operation met them."""

    kind: Kind
    family: Family
    pattern: Tensor


@dataclass(frozen=True)
class Mixing:
    """A call that mixes channels with a named weight.

    Attributes:
        weight: name of the weight.
        bias: name of the bias that belongs to the same outputs; None where there is none, or where it is tied apart.
        source: family of the channels that the call makes.
        outputs: number of these channels, in the whole weight.
        positions: how often the whole weight is applied to one sample.
        share: part of the weight's rows that the call uses.
    """

    weight: str
    bias: str | None
    source: Family
    outputs: int
    positions: int
    share: Fraction = Fraction(1)
