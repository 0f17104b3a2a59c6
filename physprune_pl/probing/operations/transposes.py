"""Weights that are used with their two dimensions exchanged: ``x @ weight.t()`` is a linear layer."""

from __future__ import annotations

from torch import Tensor, nn


def transposed_parameter(value: object) -> nn.Parameter | None:
    """Return the matrix that a tensor is the transpose of, None if it is none of a parameter.

    >>> weight = nn.Parameter(Tensor(3, 2))
    >>> transposed_parameter(weight.t()) is weight, transposed_parameter(weight), transposed_parameter(weight[:2])
    (True, None, None)
    """
    base = value._base if isinstance(value, Tensor) else None
    if not isinstance(value, Tensor) or not isinstance(base, nn.Parameter) or value.dim() != 2 or base.dim() != 2:
        return None
    turned = value.shape == base.shape[::-1] and value.stride() == base.stride()[::-1]
    itself = (value.shape, value.stride()) == (base.shape, base.stride())
    return base if turned and not itself else None
