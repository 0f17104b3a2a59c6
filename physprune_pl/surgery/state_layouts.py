"""How tensors that an optimizer keeps lie along the parameter that they belong to, and the part that stays of them.

Optimizers keep tensors of the shape of their parameter, factored or flattened ones, and matrices that mix all channels.
Which of these a tensor is, is told by its shape, and where that leaves a choice, as beside a square weight, by what the
other parameters of the optimizer have in its place.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.surgery.cuts import TensorCut
from physprune_pl.surgery.replacement import shrink

Path = tuple[Any, ...]
"""Keys that lead to a value in the state of a parameter."""
Layout = str | tuple[str, int]
"""``"same"``, with 1 allowed instead of a size; ``"flat"``; ``("without", d)``: the dimension -d is missing;
``"square"``: it mixes all indices of a dimension."""


def layouts_of(states: Mapping[Any, Mapping[Any, Any]]) -> dict[Path, frozenset[Layout]]:
    """How the tensors at each path may lie along their parameters: what all parameters agree on.

    >>> bias, weight = torch.zeros(3), torch.zeros(3, 3)
    >>> rows = {weight: {"mean": torch.ones(3, 3), "rows": torch.ones(3, 1)}, bias: {"mean": torch.ones(3)}}
    >>> {path[0]: sorted(layouts) for path, layouts in layouts_of(rows).items()}
    {'mean': ['same'], 'rows': ['same']}
    """
    found: dict[Path, frozenset[Layout]] = {}
    mixing: set[Path] = set()
    for parameter, state in states.items():
        for path, value in tensors_in(state):
            possible = _possible(value, tuple(parameter.shape)) if isinstance(parameter, Tensor) else frozenset()
            found[path] = found[path] & possible if path in found else possible
            if "square" in possible and _mixes(value):
                mixing.add(path)
    return {path: _decided(layouts, path in mixing) for path, layouts in found.items()}


def _decided(layouts: frozenset[Layout], mixes: bool) -> frozenset[Layout]:
    return frozenset() if "square" in layouts and mixes else layouts - {"square"}


def part_of(tensor: Tensor, layout: Layout, cut: TensorCut) -> Tensor:
    """The part of a tensor that belongs to what stays of its parameter."""
    if layout == "flat":
        return shrink(tensor.reshape(cut.shape), cut.keep).flatten()
    if isinstance(layout, tuple):
        place = len(cut.shape) - layout[1]
        return shrink(tensor, {dim - (dim > place): kept for dim, kept in cut.keep.items() if dim != place})
    return shrink(tensor, {dim: kept for dim, kept in cut.keep.items() if tensor.shape[dim] == cut.shape[dim]})


def has_entries(value: Any) -> bool:
    """Whether a value is a tensor with entries to be sliced; a counter in a tensor has none."""
    return isinstance(value, Tensor) and value.numel() > 1


def tensors_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Yield the tensors with entries in a state, or in containers in it, each with the keys that lead there."""
    if has_entries(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_in(item, (*path, key))
    elif isinstance(value, list | tuple | deque):
        for place, item in enumerate(value):
            yield from tensors_in(item, (*path, place))


def _possible(tensor: Tensor, shape: tuple[int, ...]) -> frozenset[Layout]:
    """All ways in which a tensor may lie along a parameter of some shape; none for tensors of a kind of its own."""
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided or tensor.is_quantized:
        return frozenset()
    sizes, found = tuple(tensor.shape), set[Layout]()
    if len(sizes) == len(shape) and all(size in (1, full) for size, full in zip(sizes, shape, strict=True)):
        found.add("same")
    if sizes == (math.prod(shape),):
        found.add("flat")
    found |= {("without", d) for d in range(1, len(shape) + 1) if sizes == _without(shape, d)}
    if len(sizes) == 2 and sizes[0] == sizes[1] and sizes[0] in shape:
        found.add("square")
    return frozenset(found)


def _without(shape: tuple[int, ...], d: int) -> tuple[int, ...]:
    place = len(shape) - d
    return shape[:place] + shape[place + 1 :]


def _mixes(matrix: Tensor) -> bool:
    """Whether a matrix is symmetric, as one over channels is and a mean of gradients of a square weight is not."""
    return torch.equal(matrix, matrix.T) and bool((matrix != matrix[0, 0]).any())
