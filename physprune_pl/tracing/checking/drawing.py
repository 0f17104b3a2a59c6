"""Random weights that keep the size of activations; those of large weights are drawn once for many of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

_DRAWN = 2**20 + 7
"""So many numbers are drawn for one tensor; they come again in a larger one, but never in the same column soon."""
_STEP = 7919
"""So many numbers further on the next of several tensors begins: a prime, so that no two have a row in common soon."""


def deviation_of(weight: Tensor) -> float:
    """Return the standard deviation with which a weight neither lets activations grow nor fade.

    >>> deviation_of(torch.zeros(3, 2, 1, 1))
    1.0
    """
    return math.sqrt(2.0 / max(1, weight[0].numel()))


def drawn_together(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return random weights of the shapes of others, which share memory: none of them may be written to.

    Those of one deviation begin at different places of the same numbers. Weights that are not stored row by row are
    left out.

    >>> weights = drawn_together({"one": torch.zeros(3, 4), "other": torch.zeros(5, 4)})
    >>> [tuple(weight.shape) for weight in weights.values()], weights["one"].equal(weights["other"][:3])
    ([(3, 4), (5, 4)], False)
    """
    alike: dict[tuple[float, torch.dtype, torch.device], dict[str, Tensor]] = {}
    for name, weight in weights.items():
        if weight.dim() > 1 and weight.is_contiguous():
            alike.setdefault((deviation_of(weight), weight.dtype, weight.device), {})[name] = weight
    drawn: dict[str, Tensor] = {}
    for (deviation, dtype, device), members in alike.items():
        starts = {name: place * _STEP for place, name in enumerate(members)}
        length = max(starts[name] + weight.numel() for name, weight in members.items())
        numbers = torch.empty(length, dtype=dtype, device=device)
        draw_normal(numbers, deviation)
        drawn |= {
            name: numbers[start : start + members[name].numel()].view_as(members[name])
            for name, start in starts.items()
        }
    return drawn


def draw_normal(tensor: Tensor, deviation: float) -> None:
    """Fill a tensor with normal numbers; a large one with the same ones again and again."""
    if tensor.numel() <= _DRAWN or not tensor.is_contiguous():
        tensor.normal_(0.0, deviation)
        return
    drawn = tensor.new_empty(_DRAWN).normal_(0.0, deviation)
    flat = tensor.view(-1)
    for start in range(0, len(flat), _DRAWN):
        part = flat[start : start + _DRAWN]
        part.copy_(drawn[: len(part)])
