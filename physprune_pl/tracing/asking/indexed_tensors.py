"""Finds out where tensors go that are used by their own index: tables, positions, tied and reparametrised weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.runner import Run, Runner, contested
from physprune_pl.probing.watching.observations import Family, Kind
from physprune_pl.tracing.asking.questions import Answer, Questions
from physprune_pl.tracing.evidence.evidence import Evidence

_ENTRIES: frozenset[Kind] = frozenset(("consumer", "carrier", "norm", "head", "bias", "size", "sum"))

_FEW = 2
"""So many tensors are tainted one by one, rather than making a run to see which of them meet nowhere."""


class LooseTensors:
    """Gathers evidence about tensors that no rule reads: their own entries are tainted.

    Args:
        runner: runs the model.
        evidence: what is known, to be added to.
        clean: the run without taint, which ends channels at sums that are sources of their own.
    """

    def __init__(self, runner: Runner, evidence: Evidence, clean: Run) -> None:
        self.runner, self.evidence, self.clean = runner, evidence, clean
        self.questions = Questions(runner, clean, runner.run_tainted_tensors, self._size, _ENTRIES)

    def collect(self, names: Iterable[str]) -> None:
        """Link the tensors of these names to what their entries reach, one dimension of all of them at a time.

        The last ones come first: where several are added to one stream, they tell the same channels there.
        """
        alone = self._alone([name for name in names if self._tensor(name).is_floating_point()])
        dims = {name: [dim for dim, size in enumerate(self._tensor(name).shape) if size > 1] for name in alone}
        for place in range(max(map(len, dims.values()), default=0)):
            self._collect_dims([(name, own[-1 - place]) for name, own in dims.items() if place < len(own)], alone)

    def _tensor(self, name: str) -> Tensor:
        return self.runner.tensors[name]

    def _size(self, family: Family) -> int:
        tensor = self._tensor(family[0])
        return tensor.shape[family[1]] if tensor.dim() else 1

    def _alone(self, names: Sequence[str]) -> dict[str, Run]:
        """Taint each tensor whole; return those that reach something."""
        families = [(name, 0) for name in names]
        flow = Flow({name: self._tensor(name) for name in names})
        if len(names) > _FEW:
            self.runner.run(flow=flow, stopping=bool(self.runner.sums.axes))
        alone, _ = self.questions.alone_in_classes(flow, flow.classes(families))
        return {family[0]: run for family, run in alone.items() if run is not None and run.hits}

    def _collect_dims(self, families: list[Family], alone: Mapping[str, Run]) -> None:
        self.questions.bound({family: alone[family[0]] for family in families})
        together = self.questions.told(families)
        own = {family: alone[family[0]] for family in families}
        rivals = contested(list(own.values()), self.clean)
        for answer in self.questions.answers(own, together, rivals).values():
            if answer is not None:
                self._link(answer)

    def _link(self, answer: Answer) -> None:
        """Link a tensor that is used by its own index; a dimension that does not hold channels is ignored."""
        family, seen, unclear = answer.family, answer.alone.seen, answer.unclear(_ENTRIES)
        told = [place for place in answer.alone.hits if seen[place].kind in _ENTRIES and place not in unclear]
        found = [answer.reach(place) for place in told]
        # Behind a sum there are calls that read what it puts out.
        read_mixed = any(seen[place].kind in ("consumer", "sum") for place in unclear)
        if read_mixed or any(self._shared_by_heads(one.family, one.slots, one.index) for one in found):
            return
        self.evidence.sizes[family] = answer.size
        for reach in found:
            self.evidence.reach(reach)
        if answer.alone.returned:
            self.evidence.block(family, self.runner.example.ends)

    def _shared_by_heads(self, family: Family, slots: Tensor, index: Tensor) -> bool:
        """Return whether every head meets all of a tensor, such as rotary angles: it does not shrink with the heads."""
        units = math.prod(self.clean.probe.heads.units.get(family, ()))
        if units < 2 or not len(slots):
            return False
        heads = slots // (self.evidence.sizes[family] // units)
        met = set(zip(index.tolist(), heads.tolist(), strict=True))
        return len(met) == units * len(set(index.tolist()))
