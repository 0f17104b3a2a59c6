"""How strong a channel is: a norm over all its coupled slices, and the direction in which that norm grows.

A strength is a sum of elementwise contributions (:meth:`Strength.power`) over the slices of a channel, finished once
(:meth:`Strength.finish`). Its derivative splits the same way: d s_k / d w = rate_k * pull(w), so that the penalty needs
no autograd. A weight in a row *and* a column slice of the same channel contributes twice to both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from physprune_pl.structure import Slice
from physprune_pl.tools.choices import unknown
from physprune_pl.tools.registry import named_or_given

Scope = Literal["group", "filter"]


def widen(weight: Tensor) -> Tensor:
    """Return half precision as float32, in which norms neither overflow nor stall; other types as they are.

    >>> widen(torch.ones(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight


@dataclass(frozen=True)
class Strength(ABC):
    """Norm of a channel over its slices; subclass it with three or four short methods.

    Attributes:
        scope: ``"group"`` counts every trainable slice of a channel; ``"filter"`` only the rows of the weights that
            produce it, as the published codes do.
        degree: scaling all weights of a channel by x scales its strength by x ** degree.

    Raises:
        ValueError: when ``scope`` is neither.
    """

    scope: Scope = field(default="group", kw_only=True)
    degree: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if self.scope not in get_args(Scope):
            raise ValueError(unknown("scope", self.scope, get_args(Scope)))

    @abstractmethod
    def power(self, weight: Tensor) -> Tensor:
        """Elementwise contribution to the sum, any shape -> same shape."""

    @abstractmethod
    def pull(self, weight: Tensor) -> Tensor:
        """Elementwise direction of the strength's gradient, any shape -> same shape."""

    def finish(self, total: Tensor) -> Tensor:
        """Turn sums into strengths, [N] -> [N]."""
        return total

    def rate(self, strength: Tensor) -> Tensor:
        """Factor of a channel in d s_k / d w = rate_k * pull(w), [N] -> [N]."""
        return torch.ones_like(strength)

    def counts(self, part: Slice) -> bool:
        """Whether a slice is part of the strength; buffers never are.

        >>> shift = Slice("norm.bias", dim=0, index=(0,), channel=(0,), role="carrier")
        >>> L2().counts(shift), L2(scope="filter").counts(shift)
        (True, False)
        """
        return part.role == "filter" if self.scope == "filter" else part.role != "buffer"


class L2(Strength):
    """Euclidean norm, s = sqrt(sum w^2): group lasso under the uniform law; the gradient is 0 at s = 0.

    >>> norm = L2()
    >>> norm.finish(norm.power(torch.tensor([3.0, -4.0])).sum())
    tensor(5.)
    """

    def power(self, weight: Tensor) -> Tensor:
        """Return w^2."""
        return widen(weight).square()

    def pull(self, weight: Tensor) -> Tensor:
        """Return w."""
        return widen(weight)

    def finish(self, total: Tensor) -> Tensor:
        """Return sqrt(total)."""
        return total.sqrt()

    def rate(self, strength: Tensor) -> Tensor:
        """Return 1 / s, and 0 where s = 0."""
        return torch.where(strength > 0, strength.reciprocal(), 0.0)


class L1(Strength):
    """Sum of magnitudes, ``s = sum |w|``: the mass or charge of arXiv:2411.16901 and arXiv:2411.11079.

    >>> norm = L1()
    >>> norm.finish(norm.power(torch.tensor([3.0, -4.0])).sum())
    tensor(7.)
    """

    def power(self, weight: Tensor) -> Tensor:
        """Return abs(w)."""
        return widen(weight).abs()

    def pull(self, weight: Tensor) -> Tensor:
        """Return sign(w), 0 at 0."""
        return widen(weight).sign()


class SquaredL2(Strength):
    """Squared Euclidean norm, s = sum w^2: weight decay by channel, as the text of arXiv:2506.22015 has it.

    Its gradient 2 w fades with the channel, so it shrinks channels without ever reaching zero.

    >>> norm = SquaredL2()
    >>> norm.finish(norm.power(torch.tensor([3.0, -4.0])).sum())
    tensor(25.)
    """

    degree = 2.0

    def power(self, weight: Tensor) -> Tensor:
        """Return w^2."""
        return widen(weight).square()

    def pull(self, weight: Tensor) -> Tensor:
        """Return 2 w."""
        return 2 * widen(weight)


STRENGTHS: dict[str, type[Strength]] = {"l1": L1, "l2": L2, "squared_l2": SquaredL2}


def resolve_strength(value: str | Strength) -> Strength:
    """Return the strength of that name (scope ``"group"``), or the object itself.

    Raises:
        ValueError: for a name that is not in ``STRENGTHS``.
        TypeError: for anything that is neither a name nor a :class:`Strength`.

    >>> resolve_strength("l1")
    L1(scope='group')
    """
    return named_or_given("strength", value, Strength, STRENGTHS)  # type: ignore[type-abstract]
