"""How unequal the channels of a group are: which are near zero, how many count, and how much the strong ones hold.

A force that does its work makes a group unequal, long before anything is cut. All three measures are scale-free: they
stay the same when every strength of the group is multiplied by one factor.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEAR_ZERO = 1e-2
"""A channel counts as near zero at or under this share of the largest strength of its group."""


def near_zero(strengths: Tensor) -> Tensor:
    """Return which channels have at most 1 % of the largest strength of their group.

    Args:
        strengths: of one group, shape [..., K], the channels last; a value that is not a number is not near zero and
            does not count as the largest.

    Returns:
        True or False for each, shape [..., K]; True for all of a group that is zero altogether.

    >>> near_zero(torch.tensor([1.0, 0.02, 0.005])).tolist()
    [False, False, True]
    """
    largest = torch.where(strengths.isnan(), 0.0, strengths).amax(-1, keepdim=True)
    return strengths <= NEAR_ZERO * largest


def effective_channels(strengths: Tensor) -> Tensor:
    """Return how many equally strong channels would be as diverse as these.

    N = (sum_k s_k)^2 / sum_k s_k^2, the inverse of the Herfindahl index of the shares s_k / sum s: Hill's diversity
    number of order 2 (M. O. Hill, "Diversity and evenness", Ecology 54, 1973), also called participation ratio.

    Args:
        strengths: of one group, shape [K], none below 0.

    Returns:
        A number in [1, K], shape []: K where all are equal, 1 where one holds everything; 0 where all are zero.

    Raises:
        ValueError: when ``strengths`` is not a vector, is empty, or holds a negative number.

    >>> effective_channels(torch.tensor([3.0, 3.0, 0.0, 0.0]))
    tensor(2.)
    """
    _check(strengths)
    # Relative to the largest, or squares of small strengths would vanish.
    shares = strengths / _or_one(strengths.max())
    return shares.sum().square() / _or_one(shares.square().sum())


def concentration(strengths: Tensor) -> Tensor:
    """Return the Gini coefficient of the strengths.

    G = sum_k (2 k - K - 1) s_(k) / (K sum_k s_k) with s_(1) <= ... <= s_(K): half the mean difference between two
    channels, divided by the mean strength (C. Gini, "Variabilita e mutabilita", 1912). Of the common measures of
    sparsity it has the most of the properties one asks for (N. Hurley and S. Rickard, "Comparing measures of
    sparsity", IEEE Transactions on Information Theory 55, 2009).

    Args:
        strengths: of one group, shape [K], none below 0.

    Returns:
        A number in [0, 1 - 1 / K], shape []: 0 where all are equal, or zero; the upper end where one holds everything.

    Raises:
        ValueError: when ``strengths`` is not a vector, is empty, or holds a negative number.

    >>> concentration(torch.tensor([0.0, 0.0, 0.0, 5.0]))
    tensor(0.7500)
    """
    _check(strengths)
    size = len(strengths)
    shares = (strengths / _or_one(strengths.max())).sort().values
    ranks = torch.arange(1, size + 1, dtype=shares.dtype, device=shares.device)
    return ((2 * ranks - size - 1) * shares).sum() / (size * _or_one(shares.sum()))


def _or_one(divisor: Tensor) -> Tensor:
    """Return the divisor, and 1 in place of 0: what it divides is 0 then, and stays 0."""
    return torch.where(divisor == 0, 1.0, divisor)


def _check(strengths: Tensor) -> None:
    if strengths.ndim != 1 or len(strengths) == 0:
        raise ValueError(f"strengths: expected a vector of at least one, got shape {tuple(strengths.shape)}")
    if (strengths < 0).any():
        raise ValueError(f"strengths: expected numbers from 0 up, got {strengths.min().item():g}")
