"""Where channels may go: which calls' outputs go into what, told from one run without NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.operations.operation_rows import LooksUp
from physprune_pl.probing.watching.invocation import Invocation
from physprune_pl.probing.watching.observations import Family, Mixing, Observation
from physprune_pl.probing.watching.tainting import tensors_of_call


class FlowNotes(Protocol):
    """What a run writes down: its probe."""

    observations: list[Observation]
    mixings: list[Mixing]
    ended: Family | None


Notes = TypeVar("Notes", bound=FlowNotes)


class Flow:
    """Follows in one run which sources' outputs each tensor is computed from.

    Tensors are told by their memory: what is written into a part of it is in all views of it. What is kept from the
    sight of Python, in numpy for one, is missing here; a run with NaN shows that.

    Args:
        tensors: parameters and buffers that are sources of their own, under their first dimension.

    Attributes:
        regions: source -> bits of the places of observations that its channels may reach; the last bit is what the
            model returns.
        made: source -> number of observations before it is first called.
        whole: whether all tensors could be followed.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        self.regions: dict[Family, int] = {}
        self.made: dict[Family, int] = {}
        self.whole = True
        self._bits: dict[Family, int] = {}
        self._memory: dict[int, int] = {}
        self._places: list[int] = []
        for name, tensor in (tensors or {}).items():
            for place in self._memory_of([tensor]):
                self._memory[place] = self._memory.get(place, 0) | self._bit((name, 0))

    def follow(self, probe: Notes, call: Invocation[Any], watched: Callable[[Notes, Invocation[Any]], Any]) -> Any:
        """Make a call, and note what goes into it."""
        memory = self._memory_of(tensors_of_call(call.args, call.kwargs))
        coming, made = self._coming(memory), len(probe.mixings)
        probe.ended = None
        output = watched(probe, call)
        self._places += [coming] * (len(probe.observations) - len(self._places))
        going, fresh = coming, True
        if len(probe.mixings) > made:
            source = probe.mixings[-1].source
            self.made.setdefault(source, len(self._places))
            going = self._bit(source) | (coming if isinstance(call.row, LooksUp) else self._of_weights(call))
        elif probe.ended is not None:
            going = self._bit(probe.ended)
        else:
            fresh = False
        for place in memory if output is None else self._memory_of(tensors_in(output)):
            kept = 0 if fresh or place not in memory else self._memory.get(place, 0)
            self._memory[place] = kept | going
        return output

    def reaching(self, tensors: Iterable[Tensor]) -> int:
        """Return bits of the sources that may reach any of some tensors."""
        return self._coming(self._memory_of(tensors))

    def sources_of(self, bits: int) -> list[Family]:
        """Return the sources that some bits stand for."""
        return [family for family, bit in self._bits.items() if bit & bits]

    def end(self, output: object) -> None:
        """Note what reaches the output of the model, and put together how far every source reaches."""
        places = [*self._places, self.reaching(tensors_in(output))]
        reached = [0] * len(self._bits)
        for place, bits in enumerate(places):
            while bits:
                lowest = bits & -bits
                reached[lowest.bit_length() - 1] |= 1 << place
                bits ^= lowest
        self.regions = {family: reached[bit.bit_length() - 1] for family, bit in self._bits.items()}

    def classes(self, families: Sequence[Family]) -> list[list[Family]]:
        """Share out families: what those of one class may reach does not meet."""
        classes: list[tuple[list[Family], list[int]]] = []
        for family in families:
            region = self.regions.get(family, -1) if self.whole else -1
            fitting = next((one for one in classes if not one[1][0] & region), None)
            if fitting is None:
                classes.append(([family], [region]))
            else:
                fitting[0].append(family)
                fitting[1][0] |= region
        return [members for members, _ in classes]

    def _bit(self, source: Family) -> int:
        return self._bits.setdefault(source, 1 << len(self._bits))

    def _of_weights(self, call: Invocation[Any]) -> int:
        """Return what flows out of a call that takes out what flows in with its data."""
        return self.reaching(tensor for tensor in tensors_of_call(call.args, call.kwargs) if tensor is not call.data)

    def _coming(self, memory: Iterable[int]) -> int:
        bits = 0
        for place in memory:
            bits |= self._memory.get(place, 0)
        return bits

    def _memory_of(self, tensors: Iterable[Tensor]) -> set[int]:
        found = set()
        for tensor in tensors:
            if tensor.layout is not torch.strided or tensor.is_meta:
                self.whole = False
            else:
                found.add(tensor.untyped_storage().data_ptr())
        return found - {0}
