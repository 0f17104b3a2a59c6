"""``einsum`` of two tensors as the product that it is: heads and layers are known by their products."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def as_product(args: tuple[Any, ...]) -> Tensor | None:
    """Return what ``einsum`` of two tensors puts out, made as a matrix product or linear layer, for modes to see.

    None if it is neither.

    >>> as_product(("bi,oi->bo", torch.ones(2, 3), nn.Parameter(torch.ones(4, 3)))).shape
    torch.Size([2, 4])
    """
    pair = _Pair.of(args)
    return None if pair is None else pair.layer() if pair.weighted else pair.product()


@dataclass(frozen=True)
class _Pair:
    """Two tensors and the letters of their axes; a parameter is the right one.

    >>> pair = _Pair.of(("bqhd,bkhd->bhqk", torch.zeros(2, 3, 4, 5), torch.zeros(2, 6, 4, 5)))
    >>> pair.unit, pair.rows, pair.summed, pair.columns
    ('h', 'q', 'd', 'k')
    >>> pair.product().shape
    torch.Size([2, 4, 3, 6])
    """

    left: Tensor
    right: Tensor
    axes: tuple[str, str]
    out: str

    @classmethod
    def of(cls, args: tuple[Any, ...]) -> _Pair | None:
        """Read the arguments of a call; None if it is no sum over two tensors with an explicit result."""
        equation, *operands = args
        operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
        if not isinstance(equation, str) or "->" not in equation or len(operands) != 2:
            return None
        inputs, out = _spelled(equation.replace(" ", ""), operands)
        fits = [len(term) == tensor.dim() for term, tensor in zip(inputs, operands, strict=False)]
        if fits != [True, True] or any(len(set(term)) < len(term) for term in (*inputs, out)):
            return None
        pairs = list(zip(operands, inputs, strict=True))
        (left, one), (right, other) = sorted(pairs, key=lambda pair: isinstance(pair[0], nn.Parameter))
        pair = cls(left, right, (one, other), out)
        return None if pair._stretched else pair

    @property
    def weighted(self) -> bool:
        """Whether one of the tensors is a parameter."""
        return isinstance(self.right, nn.Parameter)

    @property
    def _stretched(self) -> bool:
        """Whether an axis of one entry stands for a longer one."""
        sizes = zip("".join(self.axes), (*self.left.shape, *self.right.shape), strict=True)
        return len(set(sizes)) > len(set("".join(self.axes)))

    @property
    def summed(self) -> str:
        """Axes that both have and the result has not."""
        return "".join(letter for letter in self.axes[0] if letter in self.axes[1] and letter not in self.out)

    @property
    def batch(self) -> str:
        """Axes that both have and the result has too, the unit last: heads come after samples."""
        return "".join(letter for letter in self.axes[0] if letter in self.axes[1] and letter in self.out)

    @property
    def unit(self) -> str:
        """The axis of the heads, if there is one."""
        return self.batch[-1:]

    @property
    def rows(self) -> str:
        """Axes of the left tensor alone."""
        return "".join(letter for letter in self.axes[0] if letter not in self.axes[1])

    @property
    def columns(self) -> str:
        """Axes of the right tensor alone."""
        return "".join(letter for letter in self.axes[1] if letter not in self.axes[0])

    def layer(self) -> Tensor | None:
        """Compute a linear layer over one axis of the left tensor; None if it is none."""
        if self.right.dim() != 2 or len(self.summed) != 1 or len(self.columns) != 1 or self.batch:
            return None
        data = _ordered(self.left, self.axes[0], self.rows + self.summed)
        turned = self.axes[1] == self.columns + self.summed
        output = F.linear(data, self.right) if turned else torch.matmul(data, self.right)
        return _ordered(output, self.rows + self.columns, self.out)

    def product(self) -> Tensor | None:
        """Compute a product of matrices for every entry of the batch; None if it is none."""
        found = {*self.batch, *self.rows, *self.columns}
        if not self.unit or not self.summed or found != set(self.out) or isinstance(self.left, nn.Parameter):
            return None
        left = self._matrices(self.left, self.axes[0], self.rows, self.summed)
        right = self._matrices(self.right, self.axes[1], self.summed, self.columns)
        output = _shaped(torch.matmul(left, right), self._sizes(self.batch + self.rows + self.columns))
        return _ordered(output, self.batch + self.rows + self.columns, self.out)

    def _matrices(self, tensor: Tensor, axes: str, rows: str, columns: str) -> Tensor:
        """Return a tensor as [batch, rows, columns]."""
        sizes = [*self._sizes(self.batch), prod(self._sizes(rows)), prod(self._sizes(columns))]
        return _shaped(_ordered(tensor, axes, self.batch + rows + columns), sizes)

    def _sizes(self, letters: str) -> list[int]:
        known = dict(zip("".join(self.axes), (*self.left.shape, *self.right.shape), strict=True))
        return [known[letter] for letter in letters]


def _spelled(equation: str, operands: Sequence[Tensor]) -> tuple[list[str], str]:
    """Return the letters of the operands and of the result, with letters in the place of dots."""
    inputs, out = equation.split("->")
    spare = [letter for letter in string.ascii_uppercase if letter not in equation]
    terms = inputs.split(",")
    counts = [tensor.dim() - len(term.replace("...", "")) for term, tensor in zip(terms, operands, strict=False)]
    most = max(counts)
    dots = ["".join(spare[most - count : most]) for count in counts]
    spelled = [term.replace("...", letters) for term, letters in zip(terms, dots, strict=False)]
    return spelled, out.replace("...", "".join(spare[:most]))


def _ordered(tensor: Tensor, axes: str, wanted: str) -> Tensor:
    """Return a tensor with its axes in another order; itself if that is their order."""
    return tensor if axes == wanted else tensor.permute([axes.index(letter) for letter in wanted])


def _shaped(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    return tensor if list(tensor.shape) == list(sizes) else tensor.reshape(list(sizes))
