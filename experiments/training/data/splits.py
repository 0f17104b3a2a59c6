"""Splits that are fixed by the order of the samples alone, every class with its share."""

from __future__ import annotations

import torch
from torch import Tensor

# Of every class each tenth training picture is for validation.
TENTH = 10


def place_in_class(labels: Tensor) -> Tensor:
    """Return, per sample, how many earlier ones have its label.

    Args:
        labels: int64 [N].

    >>> place_in_class(torch.tensor([0, 1, 0, 0, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = labels.argsort(stable=True)
    counts = labels.bincount()
    starts = counts.cumsum(0) - counts
    place = torch.empty_like(labels)
    place[order] = torch.arange(len(labels)) - starts[labels[order]]
    return place


def held_out(labels: Tensor) -> Tensor:
    """Return which samples [N] are for validation: each tenth of every class.

    >>> held_out(torch.tensor([0] * 9 + [1, 0])).nonzero().tolist()
    [[10]]
    """
    return place_in_class(labels) % TENTH == TENTH - 1
