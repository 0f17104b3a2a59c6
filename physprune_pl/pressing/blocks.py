"""Owned tensors seen as matrices in the order of their memory, and small ones of one shape stacked.

A block is T tensors of A rows and B columns each: A is the outermost dimension in memory, B are all others. A large
tensor is a block by itself (T = 1), read where it lies, a few rows at a time so that they stay in the cache between
two operations. Small tensors of one shape are copied into one buffer, because there the number of operations costs
more than the bytes. Vectors of any length are one row of one block.

Every owned axis of a block has a seat in the vectors over all seats, rows [T, A, 1] or columns [T, 1, B]: sums over
the other axis are written there, and the factors of the channels that own it are read from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from physprune_pl.pressing.owners import Owned

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class MemoryLayout:
    """How tensors lie in memory; those that agree in all of it may be stacked.

    Attributes:
        order: dimensions from the outermost to the innermost in memory.
        shape: sizes in that order.
        dense: whether that order leaves no gaps, so that a tensor is a matrix without being copied.
        owned: places in ``order`` of the dimensions that channels own.
        dtype: number type.
    """

    order: tuple[int, ...]
    shape: tuple[int, ...]
    dense: bool
    owned: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, part: Owned) -> MemoryLayout:
        """Return the layout of a tensor as it is now."""
        tensor = part.tensor
        strides = tensor.stride()
        order = tuple(sorted(range(tensor.ndim), key=lambda dim: -strides[dim]))
        owned = tuple(place for place, dim in enumerate(order) if dim in part.owners)
        dense = tensor.permute(order).is_contiguous()
        return cls(order, tuple(tensor.shape[dim] for dim in order), dense, owned, tensor.dtype)

    @cached_property
    def plain(self) -> bool:
        """Whether the order in memory is that of the dimensions."""
        return self.order == tuple(range(len(self.order)))

    def ordered(self, tensor: Tensor) -> Tensor:
        """Return a tensor with its dimensions in the order of memory."""
        return tensor if self.plain else tensor.permute(self.order)

    def restored(self, ordered: Tensor) -> Tensor:
        """Undo :meth:`ordered`."""
        return ordered if self.plain else ordered.permute([self.order.index(dim) for dim in range(len(self.order))])

    def matrix(self) -> tuple[int, int]:
        """Return A and B; a vector is one row."""
        return (1, self.shape[0]) if len(self.shape) == 1 else (self.shape[0], prod(self.shape[1:]))

    def axes(self, part: Owned) -> Iterator[tuple[int, Tensor]]:
        """Yield the axis of the matrix, 1 for rows and 2 for columns, and the owner of each of its indices."""
        for place in self.owned:
            owner = part.owners[self.order[place]]
            if len(self.shape) == 1:
                yield 2, owner
            elif place == 0:
                yield 1, owner
            else:
                inner = [-1 if other == place else 1 for other in range(1, len(self.shape))]
                yield 2, owner.view(inner).expand(self.shape[1:]).reshape(-1)


@dataclass
class Block:
    """T tensors as one [T, A, B].

    Attributes:
        layout: that of every tensor; of a block of vectors, that of all of them in a row.
        parts: the tensors.
        pieces: ranges of rows that are worked on at a time.
        seats: for each owned axis, the axis (1 or 2) and the owners, [T * A] or [T * B].
        places: where these are in the vectors over all seats.
    """

    layout: MemoryLayout
    parts: Sequence[Tensor]
    pieces: Sequence[slice]
    seats: Sequence[tuple[int, Tensor]]
    places: list[slice] = field(default_factory=list)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """T, A and B."""
        rows, columns = self.layout.matrix()
        return (1, 1, sum(part.numel() for part in self.parts)) if self.vectors else (len(self.parts), rows, columns)

    @property
    def vectors(self) -> bool:
        """Whether this is a row of vectors."""
        return len(self.layout.shape) == 1

    @property
    def largest(self) -> int:
        """Elements of the largest piece."""
        count, _, columns = self.shape
        rows: int = max(piece.stop - piece.start for piece in self.pieces)
        return count * rows * columns

    @property
    def elements(self) -> int:
        """Elements of all tensors."""
        return prod(self.shape)

    def views(self, vector: Tensor) -> list[tuple[int, Tensor]]:
        """Return the seats in a vector over all seats, shaped to broadcast over [T, A, B], each with its axis."""
        count, rows, columns = self.shape
        shapes = {1: (count, rows, 1), 2: (count, 1, columns)}
        return [
            (axis, vector[place].view(shapes[axis])) for (axis, _), place in zip(self.seats, self.places, strict=True)
        ]

    def read(self, buffer: Tensor | None, others: Sequence[Tensor] | None = None) -> Tensor:
        """Return the tensors, or others of their shapes, as [T, A, B].

        That is a view of a single one, and a copy of several, in the buffer if there is one.
        """
        parts = self.parts if others is None else others
        if len(parts) == 1:
            return self.matrix(parts[0])
        flat = parts[0].new_empty(self.elements) if buffer is None else buffer[: self.elements]
        ordered = parts if self.layout.plain else [self.layout.ordered(part) for part in parts]
        torch.cat(list(ordered), out=flat.view(-1, *self.layout.shape[1:]))
        return flat.view(self.shape)

    def matrix(self, tensor: Tensor) -> Tensor:
        """Return one tensor as [1, A, B], a view where it is dense."""
        return self.layout.ordered(tensor.detach()).reshape(1, *self.layout.matrix())

    def lies_like(self, tensor: Tensor) -> bool:
        """Whether this is one dense tensor, and another lies in memory as it does: then one writes to it in place."""
        if len(self.parts) > 1 or not self.layout.dense or tensor.layout is not torch.strided:
            return False
        return tensor.stride() == self.parts[0].stride()

    def separate(self, values: Tensor) -> list[Tensor]:
        """Return [T, A, B] as views that are shaped like the tensors."""
        if self.vectors:
            return list(torch.split(values.view(-1), [part.numel() for part in self.parts]))
        return [self.layout.restored(one) for one in values.view(-1, *self.layout.shape).unbind()]

    def chosen(self, only: Collection[int] | None) -> list[int]:
        """Return the numbers of the tensors whose ids are among ``only``; None means all."""
        return [number for number, part in enumerate(self.parts) if only is None or id(part) in only]


def make_blocks(owned: Sequence[Owned], limit: int) -> list[Block]:
    """Arrange tensors of one device into blocks; pieces have at most ``limit`` elements, but one row at least."""
    alike: dict[MemoryLayout | torch.dtype, list[tuple[MemoryLayout, Owned]]] = {}
    for part in owned:
        layout = MemoryLayout.of(part)
        key = layout.dtype if len(layout.shape) == 1 else layout
        alike.setdefault(key, []).append((layout, part))
    return [_block(some, limit) for parts in alike.values() for some in _batches(parts, limit)]


def _batches(parts: Sequence[tuple[MemoryLayout, Owned]], limit: int) -> Iterator[list[tuple[MemoryLayout, Owned]]]:
    """Yield as many tensors at a time as fit into the limit together."""
    batch: list[tuple[MemoryLayout, Owned]] = []
    filled = 0
    for layout, part in parts:
        size = part.tensor.numel()
        if batch and (filled + size > limit or not layout.dense):
            yield batch
            batch, filled = [], 0
        batch.append((layout, part))
        filled += size
    yield batch


def _block(batch: Sequence[tuple[MemoryLayout, Owned]], limit: int) -> Block:
    layout = batch[0][0]
    seats = [list(one.axes(part)) for one, part in batch]
    joined = [(entries[0][0], torch.cat([owner for _, owner in entries])) for entries in zip(*seats, strict=True)]
    rows, columns = layout.matrix()
    step = rows if len(batch) > 1 else max(1, limit // columns)
    pieces = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    return Block(layout, [part.tensor for _, part in batch], pieces, joined)
