"""Collects by probing which slots of a model's tensors carry the same channel.

Every producer is tainted by the bits of its channel index, all at once (*which* channel reaches a slot), then each one
whole (*whose* channel it is). What stays ambiguous is asked again, one source at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.isolation import Example, SavedBuffers, seed_everything_inside
from physprune_pl.probing import (
    Family,
    Mixing,
    ModulePath,
    Observation,
    Probe,
    has_nan,
    named_tensors,
    taint,
    tensors_in,
)

_SEED = 20
_FLOW = "its control flow depends on values"


@dataclass(frozen=True)
class Run:
    """One watched run: the probe's records and whether NaN reached what the model returns."""

    probe: Probe
    returned: bool

    @property
    def seen(self) -> list[Observation]:
        """Observations in call order."""
        return self.probe.observations


@dataclass
class Evidence:
    """What probing found out; slots are ``(family, index)``.

    Attributes:
        sizes: family -> number of slots.
        links: slots that carry the same channel, as pairs of equally long index tensors.
        sources: families whose slots produce channels, in call order, with the name of the weight's bias.
        readers: families whose slots read channels.
        blocked: slots that must stay, with the reason.
        inexact: families of norms over channels.
        mixings: the mixing calls of the eval run.
        used: names of all tensors that were used.
        opaque: paths of modules that probing cannot look into.
        dead_ends: sources that could not be probed.
    """

    sizes: dict[Family, int] = field(default_factory=dict)
    links: list[tuple[Family, Tensor, Family, Tensor]] = field(default_factory=list)
    sources: dict[Family, None] = field(default_factory=dict)
    readers: set[Family] = field(default_factory=set)
    blocked: list[tuple[Family, Tensor, str]] = field(default_factory=list)
    inexact: set[Family] = field(default_factory=set)
    mixings: list[Mixing] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    opaque: dict[str, None] = field(default_factory=dict)

    def block(self, family: Family, reason: str, index: Tensor | None = None) -> None:
        """Keep slots of a family whole; all of them without an index."""
        self.blocked.append((family, torch.arange(self.sizes[family]) if index is None else index, reason))

    def link(self, one: Family, one_index: Tensor, other: Family, other_index: Tensor) -> None:
        """Couple slots pairwise."""
        self.links.append((one, one_index, other, other_index))


class Runner:
    """Runs a model under a probe, always with the same random numbers and the same buffers."""

    def __init__(self, model: nn.Module, example: Example, path: ModulePath, buffers: SavedBuffers) -> None:
        self.model, self.example, self.path, self.buffers = model, example, path, buffers
        self.tensors = named_tensors(model)
        self.names = {id(tensor): name for name, tensor in self.tensors.items()}

    def run(self, taints: Mapping[Family, Tensor] | None = None, example: Example | None = None) -> Run:
        """Run once with the given sources tainted."""
        seed_everything_inside(_SEED)
        probe = Probe(self.names, self.path, taints or {})
        with probe:
            output = (example or self.example).run(self.model)
        returned = any(has_nan(tensor) for tensor in tensors_in(output))
        self.buffers.restore()
        return Run(probe, returned)

    def run_tainted_tensor(self, family: Family, mask: Tensor) -> Run:
        """Run once with NaN inside a parameter or buffer itself."""
        tensor = self.tensors[family[0]]
        values = tensor.data
        tensor.data = taint(values, family[1], mask)
        try:
            return self.run()
        finally:
            tensor.data = values

    def run_tainted_input(self) -> Run:
        """Run once with every floating-point input NaN."""
        nan = self.example.map(lambda x: torch.full_like(x, float("nan")) if x.is_floating_point() else x)
        return self.run(example=nan)


def bits_of(size: int) -> list[Tensor]:
    """Return for every bit of an index two masks of [size]: where it is 1 and where it is 0.

    >>> [mask.int().tolist() for mask in bits_of(3)]
    [[0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    index = torch.arange(size)
    width = max(1, (size - 1).bit_length())
    return [((index >> bit) & 1) == value for bit in range(width) for value in (1, 0)]


def decode(patterns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the index that reached every slot and whether it is certain, from the patterns of :func:`bits_of`."""
    ones, zeros = torch.stack(list(patterns[0::2])), torch.stack(list(patterns[1::2]))
    weights = 2 ** torch.arange(len(ones))
    return (ones.long() * weights[:, None]).sum(0), (ones ^ zeros).all(0)


class Collector:
    """Gathers the evidence of one mode (eval or train) of a model."""

    def __init__(self, runner: Runner, evidence: Evidence) -> None:
        self.runner, self.evidence = runner, evidence
        self.clean = runner.run()
        self._register()

    def _register(self) -> None:
        probe, evidence = self.clean.probe, self.evidence
        for seen in self.clean.seen:
            evidence.sizes[seen.family] = len(seen.pattern)
            if seen.kind == "consumer":
                evidence.readers.add(seen.family)
        for mixing in probe.mixings:
            evidence.sizes[mixing.source] = mixing.outputs
            evidence.sources[mixing.source] = None
            if mixing.bias is not None:
                everything = torch.arange(mixing.outputs)
                evidence.sizes[mixing.bias, 0] = mixing.outputs
                evidence.link(mixing.source, everything, (mixing.bias, 0), everything)
        for one, one_index, other, other_index in probe.ties:
            evidence.sizes.setdefault(one, len(one_index))
            evidence.link(one, one_index, other, other_index)
        evidence.inexact |= probe.inexact
        evidence.used |= probe.used
        evidence.opaque.update(dict.fromkeys(probe.opaque))

    def collect(self) -> None:
        """Probe every source."""
        sources = list(dict.fromkeys(mixing.source for mixing in self.clean.probe.mixings))
        together = self._coded(lambda mask: self.runner.run(mask), sources)
        for source in sources:
            self._attribute(source, together)
        self._block_inputs()
        for name in sorted(self.clean.probe.loose | self._untouched_carriers()):
            self._collect_loose(name)

    def _same(self, run: Run) -> bool:
        return run.probe.sequence == self.clean.probe.sequence

    def _coded(
        self, run: Callable[[dict[Family, Tensor]], Run], sources: Sequence[Family]
    ) -> list[tuple[Tensor, Tensor]] | None:
        """Taint sources by the bits of their indices; None where a run took another way through the model."""
        width = max((len(bits_of(self.evidence.sizes[source])) for source in sources), default=0)
        runs = []
        for place in range(width):
            masks = {source: _bit(self.evidence.sizes[source], place) for source in sources}
            attempt = self._attempt(lambda masks=masks: run(masks))
            if attempt is None:
                return None
            runs.append(attempt)
        return [decode([r.seen[i].pattern for r in runs]) for i in range(len(self.clean.seen))] if runs else None

    def _attempt(self, run: Callable[[], Run]) -> Run | None:
        """Run; None if the model raised or took another way because of a NaN."""
        try:
            result = run()
        except Exception:  # a model may refuse NaN in any way it likes; the caller keeps the source whole and says so
            self.runner.buffers.restore()
            return None
        return result if self._same(result) else None

    def _attribute(self, source: Family, together: list[tuple[Tensor, Tensor]] | None) -> None:
        """Find out where the channels of one source go."""
        evidence = self.evidence
        size = evidence.sizes[source]
        alone = self._attempt(lambda: self.runner.run({source: torch.ones(size, dtype=torch.bool)}))
        if alone is None:
            evidence.block(source, _FLOW)
            return
        if alone.returned:
            evidence.block(source, "the model returns its channels")
        codes = together
        if codes is None or self._ambiguous(alone, codes, size):
            codes = self._coded(self.runner.run, [source])
        if codes is None:
            evidence.block(source, _FLOW)
            return
        for i, seen in enumerate(alone.seen):
            self._link(source, seen, *codes[i])

    def _ambiguous(self, alone: Run, codes: list[tuple[Tensor, Tensor]], size: int) -> bool:
        return any(
            bool((seen.pattern & ~(certain & (index < size))).any())
            for seen, (index, certain) in zip(alone.seen, codes, strict=True)
            if seen.kind != "opaque"
        )

    def _link(self, source: Family, seen: Observation, index: Tensor, certain: Tensor) -> None:
        hit = seen.pattern
        if not hit.any():
            return
        if seen.kind == "opaque":
            self.evidence.block(source, f"read by {seen.family[0].rpartition('#')[0]}, which is left whole")
            return
        size = self.evidence.sizes[source]
        sure = hit & certain & (index < size)
        slots = sure.nonzero().flatten()
        if seen.kind == "consumer" and bool((hit & ~sure).any()):
            place = _module_of(seen.family[0])
            self.evidence.block(source, f"several of its channels reach one input of {place}")
            self.evidence.block(seen.family, "fed by a mixture of channels", (hit & ~sure).nonzero().flatten())
        if seen.kind == "consumer" or bool(sure[hit].all()):
            self.evidence.link(source, index[slots], seen.family, slots)

    def _block_inputs(self) -> None:
        run = self._attempt(self.runner.run_tainted_input)
        if run is None:
            return
        for seen in run.seen:
            if seen.kind in ("consumer", "carrier", "norm") and seen.pattern.any():
                self.evidence.block(seen.family, "fed by the model's input", seen.pattern.nonzero().flatten())

    def _untouched_carriers(self) -> set[str]:
        """Return per-channel tensors that no tainted channel came past: their own taint shows where they belong."""
        linked = {family for one, _, other, _ in self.evidence.links for family in (one, other)}
        return {seen.family[0] for seen in self.clean.seen if seen.kind == "carrier" and seen.family not in linked}

    def _collect_loose(self, name: str) -> None:
        tensor = self.runner.tensors[name]
        if not tensor.is_floating_point():
            return
        reached = self._attempt(lambda: self.runner.run_tainted_tensor((name, 0), _everything(tensor)))
        if reached is None or not any(seen.pattern.any() for seen in reached.seen):
            return
        for dim in [dim for dim, size in enumerate(tensor.shape) if size > 1]:
            self._collect_loose_dim((name, dim), tensor.shape[dim])

    def _collect_loose_dim(self, family: Family, size: int) -> None:
        """Link a parameter that is used by its own index; a dimension that does not hold channels is ignored."""
        runs = [self._attempt(lambda mask=mask: self.runner.run_tainted_tensor(family, mask)) for mask in bits_of(size)]
        if any(run is None for run in runs):
            return
        done = [run for run in runs if run is not None]
        places = [i for i, seen in enumerate(self.clean.seen) if seen.kind in ("consumer", "carrier", "norm")]
        found = []
        for i in places:
            patterns = [run.seen[i].pattern for run in done]
            hit = torch.stack(patterns).any(0)
            index, certain = decode(patterns)
            if bool((hit & ~certain).any()):
                return
            found.append((self.clean.seen[i].family, hit.nonzero().flatten(), index))
        self.evidence.sizes[family] = size
        for other, slots, index in found:
            self.evidence.link(family, index[slots], other, slots)
        if any(run.returned for run in done):
            self.evidence.block(family, "the model returns its channels")


def _bit(size: int, place: int) -> Tensor:
    masks = bits_of(size)
    # A short source has no channel with a high bit set: it is in the complement's mask, all of it.
    return masks[place] if place < len(masks) else torch.full((size,), bool(place % 2))


def _everything(tensor: Tensor) -> Tensor:
    return torch.ones(tensor.shape[0] if tensor.dim() else 1, dtype=torch.bool)


def _module_of(name: str) -> str:
    return name.rpartition(".")[0] or name


def collect(model: nn.Module, example: Example, buffers: SavedBuffers) -> tuple[Evidence, tuple[str, ...]]:
    """Probe a model in eval mode and, where it runs differently there, in train mode.

    Returns the evidence and notes for the user.
    """
    evidence, notes = Evidence(), []
    with ModulePath(model) as path:
        model.eval()
        first = Collector(Runner(model, example.sized(1), path, buffers), evidence)
        first.collect()
        evidence.mixings = first.clean.probe.mixings
        model.train()
        try:
            second = Collector(Runner(model, example.sized(2), path, buffers), evidence)
        except Exception as error:  # a model that cannot be trained on this example is traced as it is evaluated
            notes.append(f"train mode could not be traced: {type(error).__name__}: {error}")
            return evidence, tuple(notes)
        if _calls(second.clean) != _calls(first.clean):
            second.collect()
    return evidence, tuple(notes)


def _calls(run: Run) -> list[Any]:
    return [(seen.kind, seen.family, len(seen.pattern)) for seen in run.seen]
