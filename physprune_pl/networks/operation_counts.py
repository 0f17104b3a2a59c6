"""Floating point operations of torch operations that ``torch.utils.flop_counter`` takes for none (torch 2.6 to 2.15).

Each count is a function of shapes: ``FlopCounterMode`` hands every tensor of a call on as its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

Shape = Sequence[int]
aten = torch.ops.aten


def _fused_layer(states: Shape, weight: Shape, recurrent: Shape, *_: Any, **__: Any) -> int:
    """One direction of one layer: both matrices multiply one vector for each step of each sample."""
    return 2 * prod(states[:-1]) * (prod(weight) + prod(recurrent))


def _fused_layers(states: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """All layers and directions in one call; what has one dimension is a bias."""
    return 2 * prod(states[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2)


def _product_added(_: Shape, left: Shape, right: Shape, *__: Any, **___: Any) -> int:
    """A sum of products of matrices that is added to the first argument."""
    return 2 * prod(left) * right[-1]


def _bilinear(first: Shape, weight: Shape, second: Shape, *expanded: Any, **_: Any) -> int:
    """One product for each sample, output, first and second input; ``expanded`` says where dimensions are put in."""
    shapes = [_unsqueezed(shape, dims) for shape, dims in zip((first, weight, second), expanded[:3], strict=True)]
    sizes: list[int] = [max(along) for along in zip(*shapes, strict=True)]
    return 2 * prod(sizes)


def _unsqueezed(shape: Shape, dims: Sequence[int]) -> tuple[int, ...]:
    longer = list(shape)
    for dim in sorted(dims):
        longer.insert(dim, 1)
    return tuple(longer)


# Products with one vector, such as mv, are none of a sample in a batch; a spectral norm makes weights by them.
UNCOUNTED: Mapping[Any, Callable[..., int]] = {
    # `nn.LSTM` on a processor, and every recurrent layer on a GPU, are one fused operation.
    aten.mkldnn_rnn_layer: _fused_layer,
    aten._cudnn_rnn: _fused_layers,
    aten.addbmm: _product_added,
    aten._trilinear: _bilinear,
}
