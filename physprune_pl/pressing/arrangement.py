"""Sums, gradients and scalings over all owned tensors of one device, in as few operations and passes as possible."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from physprune_pl.pressing.blocks import Block, Elementwise, make_blocks
from physprune_pl.pressing.owners import Owned

CACHED = 1 << 18
"""Elements of a piece on a CPU: what is read once stays in the second-level cache for the operations that follow."""
LAUNCHED = 1 << 24
"""Elements of a piece on other devices, where starting an operation is what costs."""


@dataclass(frozen=True)
class _Placed:
    """A block, its seats in the shared buffers, each with its axis (1 rows, 2 columns), and its new gradients."""

    block: Block
    sums: list[tuple[int, Tensor]]
    factors: list[tuple[int, Tensor]]
    gradients: Reused


class Arrangement:
    """The blocks of one device and the buffers that they share, allocated once.

    Args:
        owned: tensors of one device, at least one.
        size: number of channels N.
        power: elementwise contribution to the sums.
    """

    def __init__(self, owned: Sequence[Owned], size: int, power: Elementwise) -> None:
        self.size, self.power = size, power
        device = owned[0].tensor.device
        limit = CACHED if device.type == "cpu" else LAUNCHED
        blocks = make_blocks(owned, limit)
        self._owners = _take_seats(blocks).to(device)
        dtype = _widest(power(part.tensor.new_empty(0)) for part in owned)
        self._sums = torch.zeros(len(self._owners), dtype=dtype, device=device)
        self._factors = torch.zeros_like(self._sums)
        self._placed = [self._place(block, device) for block in blocks]
        self._scratch = self._sums.new_empty(max(block.largest for block in blocks))
        # One buffer for each type: a copy that also converts would be slow.
        self._copies = {
            dtype: torch.empty(_most_copied(blocks, dtype), dtype=dtype, device=device)
            for dtype in {block.layout.dtype for block in blocks}
        }

    def _place(self, block: Block, device: torch.device) -> _Placed:
        gradients = Reused(block.shape, block.layout.dtype, device)
        return _Placed(block, block.views(self._sums), block.views(self._factors), gradients)

    def total(self) -> Tensor:
        """Return the sums of ``power`` over everything that each channel owns, [N]."""
        for placed in self._placed:
            matrix = self._read(placed.block)
            for number, piece in enumerate(placed.block.pieces):
                _add_up(self.power(matrix[:, piece]), placed.sums, piece, first=number == 0)
        return self._collected()

    def products(self, only: Collection[int] | None) -> Tensor:
        """Return the sums of ``power(w) * power(gradient of w)`` likewise; what has no gradient adds nothing."""
        for placed in self._placed:
            weights, gradients = self._read(placed.block), self._gradients(placed.block, only)
            for number, piece in enumerate(placed.block.pieces):
                product = self.power(weights[:, piece]) * self.power(gradients[:, piece])
                _add_up(product, placed.sums, piece, first=number == 0)
        return self._collected()

    def _collected(self) -> Tensor:
        return self._sums.new_zeros(self.size + 1).index_add_(0, self._owners, self._sums)[:-1]

    def add_gradient(self, rates: Tensor, pull: Elementwise, only: Collection[int] | None) -> None:
        """Add pull(w) * (rates of the channels that own w) to ``.grad``; rates are [N + 1], nobody's last."""
        self._take_factors(rates)
        for placed in self._placed:
            chosen = placed.block.chosen(only)
            if chosen:
                self._give(placed, chosen, pull)

    def scale(self, scales: Tensor, only: Collection[int] | None) -> None:
        """Multiply every tensor by the scales [N + 1] of the channels that own its indices, in place."""
        self._take_factors(scales)
        for placed in self._placed:
            if chosen := placed.block.chosen(only):
                _scale(placed, chosen, self._scratch)

    def _take_factors(self, values: Tensor) -> None:
        torch.index_select(values.to(self._factors), 0, self._owners, out=self._factors)

    def _read(self, block: Block) -> Tensor:
        return block.read(self._copies[block.layout.dtype])

    def _gradients(self, block: Block, only: Collection[int] | None) -> Tensor:
        there = set(block.chosen(only))
        gradients = [_gradient(part, number in there) for number, part in enumerate(block.parts)]
        return block.read(None, gradients)

    def _give(self, placed: _Placed, chosen: Sequence[int], pull: Elementwise) -> None:
        """Write the gradients of a block; those that are there already are added to."""
        block = placed.block
        matrix = self._read(block)
        there = {number: grad for number in chosen if (grad := block.parts[number].grad) is not None}
        if 0 in there and block.lies_like(there[0]):
            target = block.matrix(there[0])
            for piece in block.pieces:
                target[:, piece].addcmul_(pull(matrix[:, piece]), self._factor(placed, piece))
            return
        # What is added is added in full precision; what is new has the type of its parameter.
        gradient = self._scratch.new_empty(block.shape) if there else placed.gradients.take()
        for piece in block.pieces:
            torch.mul(pull(matrix[:, piece]), self._factor(placed, piece), out=gradient[:, piece])
        _receive(block, gradient, chosen, there)

    def _factor(self, placed: _Placed, piece: slice) -> Tensor:
        """Return the sum of the owners' factors, shaped to broadcast over a piece."""
        terms = [_rows(factor, axis, piece) for axis, factor in placed.factors]
        if len(terms) == 1:
            return terms[0]
        count, _, columns = placed.block.shape
        rows = piece.stop - piece.start
        result = self._scratch[: count * rows * columns].view(count, rows, columns)
        torch.add(terms[0], terms[1], out=result)
        for term in terms[2:]:
            result.add_(term)
        return result


class Arranged:
    """Arrangements of tensors, one for each device, made again when a tensor moves, thaws or changes its type.

    Args:
        owned: the tensors.
        size: number of channels N.
        power: elementwise contribution to the sums.
        trainable: whether only tensors that require a gradient at the time count.
    """

    def __init__(self, owned: Sequence[Owned], size: int, power: Elementwise, *, trainable: bool) -> None:
        self.owned, self.size, self.power, self.trainable = owned, size, power, trainable
        self._seen: Sequence[tuple[object, ...]] = ()
        self._arrangements: list[Arrangement] = []

    def now(self) -> list[Arrangement]:
        """Return the arrangements that fit the tensors as they are now."""
        tensors = [part.tensor for part in self.owned]
        seen = [(one.device, one.dtype, one.stride(), one.requires_grad) for one in tensors]
        if seen != self._seen:
            self._arrangements, self._seen = self._arrange(), seen
        return self._arrangements

    def total(self) -> Tensor:
        """Return the sums of ``power`` over all devices, [N], on that of the first tensor."""
        return self._summed([one.total() for one in self.now()])

    def products(self, only: Collection[int] | None = None) -> Tensor:
        """Return the sums of ``power(w) * power(gradient of w)`` likewise, of the tensors or those of some ids."""
        return self._summed([one.products(only) for one in self.now()])

    def _summed(self, totals: Sequence[Tensor]) -> Tensor:
        if not totals:
            return torch.zeros(self.size)
        return sum((one.to(totals[0].device) for one in totals[1:]), totals[0])

    def scale(self, scales: Tensor, only: Collection[int] | None = None) -> None:
        """Multiply the tensors, or those of some ids, by the scales [N] of the channels that own their indices."""
        scales = torch.cat([scales, scales.new_ones(1)])
        for one in self.now():
            one.scale(scales, only)

    def _arrange(self) -> list[Arrangement]:
        by_device: dict[torch.device, list[Owned]] = {}
        for part in self.owned:
            if part.tensor.requires_grad or not self.trainable:
                by_device.setdefault(part.tensor.device, []).append(part)
        return [Arrangement(parts, self.size, self.power) for parts in by_device.values()]


def _gradient(part: Tensor, wanted: bool) -> Tensor:
    if part.grad is None or not wanted:
        return torch.zeros_like(part)
    return part.grad if part.grad.layout is torch.strided else part.grad.to_dense()


def _rows(seat: Tensor, axis: int, piece: slice) -> Tensor:
    return seat[:, piece] if axis == 1 else seat


def _add_up(contribution: Tensor, seats: Sequence[tuple[int, Tensor]], piece: slice, *, first: bool) -> None:
    """Sum a piece [T, a, B] over its columns and over its rows; sums over rows go on from piece to piece."""
    for axis, seat in seats:
        if axis == 1 or first:
            target = _rows(seat, axis, piece)
            torch.sum(contribution, 3 - axis, keepdim=True, dtype=seat.dtype, out=target)
        else:
            seat += contribution.sum(1, keepdim=True, dtype=seat.dtype)


def _receive(block: Block, gradient: Tensor, chosen: Sequence[int], there: Mapping[int, Tensor]) -> None:
    values = block.separate(gradient)
    for number in chosen:
        if number not in there:
            new = values[number]
            block.parts[number].grad = new.to(block.layout.dtype) if there else new
    if there:
        torch._foreach_add_(list(there.values()), [values[number] for number in there])


def _scale(placed: _Placed, chosen: Sequence[int], like: Tensor) -> None:
    block = placed.block
    if block.lies_like(block.parts[0]):
        matrix = block.matrix(block.parts[0])
        for piece in block.pieces:
            for axis, factor in placed.factors:
                matrix[:, piece].mul_(_rows(factor, axis, piece))
        return
    scaling = like.new_ones(block.shape)
    for _, factor in placed.factors:
        scaling.mul_(factor)
    values = block.separate(scaling)
    torch._foreach_mul_([block.parts[number].detach() for number in chosen], [values[number] for number in chosen])


def _take_seats(blocks: Sequence[Block]) -> Tensor:
    """Give every seat its place, and return the owners of all of them."""
    owners = []
    place = 0
    for block in blocks:
        for _, owner in block.seats:
            block.places.append(slice(place, place + len(owner)))
            owners.append(owner)
            place += len(owner)
    return torch.cat(owners)


def _widest(samples: Iterator[Tensor]) -> torch.dtype:
    dtypes = [sample.dtype for sample in samples]
    widest = dtypes[0]
    for dtype in dtypes:
        widest = torch.promote_types(widest, dtype)
    return widest


def _most_copied(blocks: Sequence[Block], dtype: torch.dtype) -> int:
    alike = [block for block in blocks if block.layout.dtype == dtype and len(block.parts) > 1]
    return max((block.elements for block in alike), default=0)


class Reused:
    """One tensor, handed out for as long as nobody else holds it or a part of it; then another one.

    Optimizers drop gradients after every step. Asking the operating system for that memory again costs more than
    filling it. On devices whose memory torch itself keeps, every tensor is a new one.

    Args:
        shape: of the tensor.
        dtype: its number type.
        device: where it lives.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device
        self._tensor: Tensor | None = None
        self._alone = 0

    def take(self) -> Tensor:
        """Return a tensor whose values are not defined, and which nobody else holds."""
        if self._tensor is None or _holders(self._tensor) != self._alone:
            tensor = torch.empty(self.shape, dtype=self.dtype, device=self.device)
            if self.device.type != "cpu":
                return tensor
            self._tensor, self._alone = tensor, _holders(tensor)
        # Only another tensor on the same memory can be counted.
        return self._tensor.view(self.shape)


def _holders(tensor: Tensor) -> int:
    """Count who holds the memory of a tensor: views, other tensors on it, and arrays made from it are among them."""
    holders: int = torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)
    return holders
