"""Finds out where tensors go that are used by their own index: tables, positions, tied and reparametrised weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from physprune_pl.probing.codes import Codes, sure
from physprune_pl.probing.observations import Family
from physprune_pl.probing.runner import Masks, Run, Runner, contested
from physprune_pl.tracing.evidence import Evidence
from physprune_pl.tracing.gates import Reach

_PLACES = ("consumer", "carrier", "norm", "head", "bias")


class LooseTensors:
    """Gathers evidence about tensors that no rule reads: their own entries are tainted.

    Args:
        runner: runs the model.
        evidence: what is known, to be added to.
        clean: the run without taint.
    """

    def __init__(self, runner: Runner, evidence: Evidence, clean: Run) -> None:
        self.runner, self.evidence, self.clean = runner, evidence, clean

    def collect(self, names: Iterable[str]) -> None:
        """Link the tensors of these names to what their entries reach, one dimension of all of them at a time."""
        alone = {name: run for name in names if (run := self._alone(name)) is not None}
        dims = {name: [dim for dim, size in enumerate(self._tensor(name).shape) if size > 1] for name in alone}
        for place in range(max(map(len, dims.values()), default=0)):
            self._collect_dims([(name, own[place]) for name, own in dims.items() if place < len(own)], alone)

    def _tensor(self, name: str) -> Tensor:
        return self.runner.tensors[name]

    def _alone(self, name: str) -> Run | None:
        """Taint one tensor whole; None if that reaches nothing."""
        tensor = self._tensor(name)
        if not tensor.is_floating_point():
            return None
        everything = torch.ones(tensor.shape[0] if tensor.dim() else 1, dtype=torch.bool)
        run = self.runner.attempt(lambda: self.runner.run_tainted_tensors({(name, 0): everything}), self.clean)
        return run if run is not None and run.hits else None

    def _collect_dims(self, families: list[Family], alone: Mapping[str, Run]) -> None:
        together = self._coded(families)
        rivals = contested([alone[name] for name, _ in families], self.clean)
        for family in families:
            codes = together
            if codes is None or self._disturbed(family, alone[family[0]], rivals, codes):
                codes = self._coded([family])
            if codes is not None:
                self._link(family, alone[family[0]], codes)

    def _size(self, family: Family) -> int:
        return self._tensor(family[0]).shape[family[1]]

    def _index(self, families: list[Family]) -> Masks:
        return {family: torch.arange(self._size(family)) for family in families}

    def _coded(self, families: list[Family]) -> Codes | None:
        return self.runner.coded(self.runner.run_tainted_tensors, self._index(families), self.clean)

    def _disturbed(self, family: Family, alone: Run, rivals: list[Tensor], codes: Codes) -> bool:
        """Return whether other tensors are to blame for a slot that is unclear."""
        places = [place for place in alone.hits if alone.seen[place].kind in _PLACES]
        size = self._size(family)
        unclear = {place: alone.seen[place].pattern & ~sure(codes[place], size) & rivals[place] for place in places}
        asked = any(bool(slots.any()) for slots in unclear.values())
        run = self.runner.run_tainted_tensors
        return asked and not self.runner.blurred(run, self._index([family]), self.clean, unclear)

    def _link(self, family: Family, alone: Run, codes: Codes) -> None:
        """Link a tensor that is used by its own index; a dimension that does not hold channels is ignored."""
        found = []
        for place, seen, code in ((place, alone.seen[place], codes[place]) for place in alone.hits):
            if seen.kind not in _PLACES:
                continue
            if bool((seen.pattern & ~sure(code, self._size(family))).any()):
                if seen.kind == "consumer":
                    return
                continue
            slots = seen.pattern.nonzero().flatten()
            if self._shared_by_heads(seen.family, slots, code[0][slots]):
                return
            found.append(Reach(family, code[0][slots], seen.family, slots, (alone.probe.mode, place)))
        self.evidence.sizes[family] = self._size(family)
        for reach in found:
            self.evidence.reach(reach)
        if alone.returned:
            self.evidence.block(family, self.runner.example.ends)

    def _shared_by_heads(self, family: Family, slots: Tensor, index: Tensor) -> bool:
        """Return whether every head meets all of a tensor, such as rotary angles: it does not shrink with the heads."""
        units = self.clean.probe.heads.units.get(family, 0)
        if units < 2 or not len(slots):
            return False
        heads = slots // (self.evidence.sizes[family] // units)
        met = set(zip(index.tolist(), heads.tolist(), strict=True))
        return len(met) == units * len(set(index.tolist()))
