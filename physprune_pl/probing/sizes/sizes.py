"""Sizes that modules remember under names of their own, found by where they are used: as the size of an axis.

While a model is watched, the whole numbers that its modules remember know where they come from. Where one of them
becomes the size of an axis, it is the number of that axis's slots, and follows when some of them go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor

from physprune_pl.probing.operations.axis_rows import ReadsShape
from physprune_pl.probing.sizes.known_numbers import Remembered, Rest, Share
from physprune_pl.probing.sizes.reshapes import factored
from physprune_pl.probing.sizes.widths import Asked, Width, WidthUse, sized
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Kind
from physprune_pl.probing.watching.tainting import nan_along


@dataclass(frozen=True)
class SizeUse:
    """One place where an attribute is the size of an axis, or of a part of one.

    Attributes:
        name: path of the attribute, such as ``"blocks.0.attn.num_heads"`` or ``"mixer.sizes.1"``.
        value: its size.
        family: the slots of the axis.
        unit: for every slot, which of the things that the attribute counts it belongs to; -1 for none.
    """

    name: str
    value: int
    family: Family
    unit: Tensor


class SizeNotes(Protocol):
    """Where what was seen is written down: the probe of a run."""

    mode: str
    sequence: list[str]

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which slots of an axis are NaN now."""

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""


class SizeWatch:
    """Watches where sizes are used in one run that modules remember, or that were read from other tensors.

    Attributes:
        uses: where a module remembers a size.
        widths: where the size of one axis is asked of another.
    """

    def __init__(self, notes: SizeNotes, asked: Asked) -> None:
        self.notes, self.asked = notes, asked
        self.uses: list[SizeUse] = []
        self.widths: list[WidthUse] = []
        self._read = 0

    def shape(self, call: Invocation[ReadsShape]) -> Any:
        """Return the shape of a tensor, or the size of an axis, that knows what it is the size of."""
        data = call.data
        own, axis = self.notes.name_of(data), call.get(call.row.axis)
        shape = sized(data, own, 0) if own else self._sized(data)
        return shape if axis is None else shape[axis]

    def _sized(self, data: Tensor) -> Any:
        self._read += 1
        name = f"{self.notes.mode} shape {self._read}"
        for axis in range(1, data.dim()) if self.asked.axes else ():
            if (name, axis) in self.asked.axes:
                self._note((name, axis), data, axis)
        return sized(data, name, 1)  # samples are no channels

    def view(self, sizes: Sequence[Any], data: Tensor, output: Tensor, seen: Mapping[int, Family]) -> None:
        """Note the sizes of a view or an expansion; ``seen`` are the slots of axes that have been seen."""
        if not any(isinstance(size, _KNOWN) for size in sizes) or not data.is_floating_point():
            return
        families = dict(seen)
        for axis, size in enumerate(sizes, output.dim() - len(sizes)):
            if not isinstance(size, _KNOWN) or output.shape[axis] != size:
                continue
            origin, factors, place = factored(data.shape, output.shape, axis)
            if origin is None:
                self._use(size, self._see(output, axis), torch.arange(int(size)))
                continue
            if isinstance(size, Width) and size.is_of(data, origin):
                continue
            if origin not in families:
                families[origin] = self._see(data, origin)
            inner = prod(factors[place + 1 :])
            self._use(size, families[origin], torch.arange(data.shape[origin]) // inner % factors[place])

    def split(self, sizes: Sequence[Any], data: Tensor, axis: int, family: Family | None) -> None:
        """Note the sizes of the parts of an axis; ``family`` are its slots where they have been seen."""
        if not any(isinstance(size, _KNOWN) for size in sizes):
            return
        length, known = data.shape[axis], family or self._see(data, axis)
        if len(sizes) == 1 and length % sizes[0] == 0:  # that of each of the parts
            self._use(sizes[0], known, torch.arange(length) % int(sizes[0]))
            return
        ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
        for size, end in zip(sizes, ends, strict=True):
            self.part(size, known, length, range(end - int(size), end))

    def index(self, data: Tensor, entries: tuple[Any, ...]) -> None:
        """Note the ends of slices."""
        if not any(isinstance(end, _KNOWN) for entry in entries if isinstance(entry, slice) for end in _ends(entry)):
            return
        for axis, entry in axes_of_index(entries, data.dim()):
            for end in _ends(entry) if isinstance(entry, slice) else ():
                if isinstance(end, _KNOWN) and abs(end) <= data.shape[axis]:
                    size = data.shape[axis]
                    self.part(end, self._see(data, axis), size, range(end) if end > 0 else range(size + end, size))

    def narrow(self, data: Tensor, axis: int, start: Any, length: Any) -> None:
        """Note where a part of an axis begins and how long it is."""
        for end, slots in ((start, range(int(start))), (length, range(int(start), int(start) + int(length)))):
            if isinstance(end, _KNOWN):
                self.part(end, self._see(data, axis), data.shape[axis], slots)

    def norm(self, sizes: Sequence[Any], families: Sequence[Family]) -> None:
        """Note the sizes of the axes that a norm takes together."""
        for size, family in zip(sizes, families, strict=False):
            if isinstance(size, _KNOWN):
                self._use(size, family, torch.arange(int(size)))

    def groups(self, count: Any, family: Family, size: int) -> None:
        """Note the number of groups that a norm makes of an axis."""
        if isinstance(count, Remembered):
            self._use(count, family, torch.arange(size) // (size // count))

    def part(self, size: Any, family: Family, length: int, slots: range) -> None:
        """Note that a size is that of some slots of an axis."""
        if isinstance(size, _KNOWN) and len(slots) == abs(size):
            unit = torch.full((length,), -1)
            unit[slots.start : slots.stop] = torch.arange(len(slots))
            self._use(size, family, unit)

    def _see(self, tensor: Tensor, axis: int) -> Family:
        family = (f"{self.notes.mode} size {len(self.notes.sequence)}", 0)
        self._note(family, tensor, axis)
        return family

    def _note(self, family: Family, tensor: Tensor, axis: int) -> None:
        looked = tensor.is_floating_point() and family not in self.asked.idle
        self.notes.see("size", family, nan_along(tensor, axis) if looked else _none(tensor, axis))

    def _rest(self, size: Rest, family: Family, unit: Tensor) -> None:
        """Note that a number without another one is the size of a part of an axis, if it is itself that of the axis."""
        if len(unit) == size.whole:
            self._use(size.whole, family, torch.arange(len(unit)))

    def _use(self, size: Remembered | Share | Width | Rest, family: Family, unit: Tensor) -> None:
        if isinstance(size, Share):
            if len(unit) == size.of:
                self._use(size.of, family, torch.arange(len(unit)))
        elif isinstance(size, Width):
            self.widths.append(WidthUse(size.axis, family, (unit >= 0).nonzero().flatten()))
        elif isinstance(size, Rest):
            self._rest(size, family, unit)
        else:
            self.uses.append(SizeUse(size.name, abs(int(size)), family, unit))


_KNOWN = (Remembered, Rest, Share, Width)
"""Numbers that know what they are the size of."""


def _none(tensor: Tensor, axis: int) -> Tensor:
    return torch.zeros(tensor.shape[axis], dtype=torch.bool)


def _ends(entry: slice) -> tuple[Any, Any]:
    return entry.start, entry.stop


def axes_of_index(entries: tuple[Any, ...], dims: int) -> Iterator[tuple[int, Any]]:
    """Yield the axis of each entry of an index that is a slice or a number."""
    taking = [entry for entry in entries if entry is not None and entry is not Ellipsis]
    if any(isinstance(entry, Tensor | list) for entry in taking):  # one may take several axes
        return
    axis = 0
    for entry in entries:
        if entry is Ellipsis:
            axis += dims - len(taking)
        elif entry is not None:
            yield axis, entry
            axis += 1


def sizes_of_view(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
    """Return the sizes that a view or an expansion asks for."""
    given = args[1:] or next((kwargs[name] for name in ("size", "shape", "sizes") if name in kwargs), ())
    first = given[0] if isinstance(given, tuple) and len(given) == 1 else given
    found: Sequence[Any] = first if isinstance(first, list | tuple) else given
    return found
