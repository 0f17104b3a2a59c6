"""Collects by probing which slots of a model's tensors carry the same channel.

Every producer is tainted by the bits of its channel index, all at once (*which* channel reaches a slot), then each one
whole (*whose* channel it is). What stays ambiguous is asked again, one source at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch

from physprune_pl.probing.flow.junctions import Junctions
from physprune_pl.probing.flow.norms import Walls, over_channels
from physprune_pl.probing.mixing.computed_weights import spectral_ties
from physprune_pl.probing.runner import Run, Runner, contested, without_positions
from physprune_pl.probing.sizes.widths import Asked
from physprune_pl.probing.watching.codes import sure
from physprune_pl.probing.watching.observations import INPUT, Family, Kind
from physprune_pl.tools.progress import steps
from physprune_pl.tracing.asking.asked_again import AskedAgain
from physprune_pl.tracing.asking.blocks import FIRST, Blocks
from physprune_pl.tracing.asking.indexed_tensors import LooseTensors
from physprune_pl.tracing.asking.questions import Answer
from physprune_pl.tracing.asking.reached_slots import fed_slots, reached_families, read_families
from physprune_pl.tracing.asking.streams import Explorer, closures
from physprune_pl.tracing.evidence.evidence import Evidence

_FLOW = "its control flow depends on values"
_CHANNELS: frozenset[Kind] = frozenset(("consumer", "carrier", "norm", "part"))


class Collector:
    """Gathers the evidence of one mode (eval or train) of a model.

    Args:
        runner: runs the model in that mode.
        evidence: what is known, to be added to.
        walls: which statistics of the model are over channels, if that is known from another mode.
    """

    def __init__(self, runner: Runner, evidence: Evidence, walls: Walls | None = None) -> None:
        self.runner, self.evidence = runner, evidence
        self.runner.walls = walls or runner.walls
        self.explorer = Explorer(runner, evidence.sizes, _CHANNELS)
        self.clean, self.flow = self.explorer.followed()
        # What a branch would run that nobody has seen must not be forgotten.
        runner.decisions.followed = dict(runner.model.named_parameters()).keys() <= self.clean.probe.used
        if self.clean.probe.sizes.widths:
            runner.asked = Asked({use.axis for use in self.clean.probe.sizes.widths})
            self.clean, self.flow = self.explorer.followed()
        self.lowest_bit = self._find_walls() if walls is None else []
        self.spectral = spectral_ties(runner.model)
        self.answers: dict[Family, Answer | None] = {}

    def _find_walls(self) -> list[Run]:
        """Find out which statistics are over channels, and return the runs by the lowest bit of channels that tell."""
        outputs = {mixing.source: mixing.outputs for mixing in self.clean.probe.mixings}
        odd = {source: torch.arange(size) % 2 == 1 for source, size in outputs.items()}
        even = {source: ~mask for source, mask in odd.items()}
        self.runner.sums = Junctions(looking=True)
        while True:
            pair = [self.runner.attempt(partial(self.runner.run, masks), self.clean) for masks in (odd, even)]
            done = [run for run in pair if run is not None]
            walls = over_channels(*(run.probe.norms for run in done)) if len(done) == len(pair) else self.runner.walls
            if walls == self.runner.walls:
                self.runner.sums = Junctions()
                # What takes all entries of its axes or none, of every other channel, takes no channels together.
                alike = frozenset(call for run in done for call in run.probe.norms.alike)
                self.runner.walls = Walls(walls.found, walls.others | (alike - walls.found))
                return done if len(done) == len(pair) else []
            self.runner.walls = walls
            self.clean, self.flow = self.explorer.followed()

    def register(self) -> None:
        """Note what the model does without taint: its sources, what reads them, what is tied by an operation."""
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
        for vector, entry, weight, channel in self.spectral:
            if weight in evidence.sizes:
                evidence.sizes[vector] = len(entry)
                evidence.link(vector, entry, weight, channel)
                evidence.inexact.add(vector)
        evidence.inexact |= probe.inexact
        evidence.norms |= probe.norms.sizes
        evidence.standardised |= probe.norms.weights
        evidence.remembered += probe.sizes.uses
        evidence.widths += probe.sizes.widths
        evidence.used |= probe.used
        evidence.lines |= probe.lines
        evidence.opaque = {**dict(probe.opaque), **evidence.opaque}

    def collect(self) -> None:
        """Probe every source."""
        self.found = self.explorer.explore(self.clean, self.flow, self.lowest_bit)
        self.clean, self.questions = self.found.clean, self.found.questions
        self.runner.asked = without_positions(self.runner.asked, self.found.together, self.clean)
        self.contested = contested(list(self.found.alone.values()), self.clean)
        alone = {source: run for source, run in self.found.alone.items() if run is not None}
        self.answers = self.questions.answers(alone, self.found.together, self.contested)
        if self.clean.probe.axes.views:
            self._tie_views()
        blocks = Blocks(self.evidence)
        self._attribute_all(blocks)
        blocks.settle(self.found)
        self._block_inputs()
        self._block_statistics()
        loose = LooseTensors(self.runner, self.evidence, self.clean)
        tied = {family[0] for vector, _, weight, _ in self.spectral for family in (vector, weight)}
        loose.collect(sorted((self.clean.probe.loose | self._untouched_carriers()) - tied))

    def _tie_views(self) -> None:
        """Tie the slots of the axes that views factor: by head if their channels reach heads, else part by part.

        Where the channels of a part are mixed with each other and with no others, each part stays or goes as a whole,
        as the heads of additive attention do; so does what else has as many parts and goes to the same places, such as
        the values that are weighted by the scores of these heads.
        """
        heads = self.clean.probe.heads.units
        parts: dict[Family, tuple[tuple[int, ...], set[Family]]] = {}
        mixed: dict[int, set[Family]] = {}
        for family, factors, nodes, reached in self._views():
            axis = _head_axis(factors, {count for other in reached & heads.keys() for count in heads[other]})
            if axis is not None:
                index, inner = torch.arange(self.evidence.sizes[family]), math.prod(factors[axis + 1 :])
                self.evidence.link(family, index, family, index // inner % factors[axis] * inner)
            elif len(factors) == 2:
                parts[family] = factors, reached & self.evidence.readers
                if any(self._mixed_by_part(node, family, factors) for node in nodes):
                    mixed.setdefault(factors[0], set()).update(parts[family][1])
        for family, (factors, reached) in parts.items():
            index, whole = torch.arange(self.evidence.sizes[family]), reached & mixed.get(factors[0], set())
            self.evidence.link(family, index, family, index // factors[1] * factors[1] if whole else index % factors[1])

    def _views(self) -> Iterator[tuple[Family, tuple[int, ...], list[Family], set[Family]]]:
        """Yield the axes that views factor, the factors, what reaches an axis, and what that reaches besides."""
        alone = {node: run for node, run in self.found.alone.items() if run is not None}
        direct = {node: reached_families(run) for node, run in alone.items()}
        sums, reads = closures(self.found), {node: read_families(run) for node, run in alone.items()}
        for family, factors in self.clean.probe.axes.views.items():
            nodes = [node for node, seen in direct.items() if family in seen]
            behind = [*nodes, *_in_front(nodes, reads)]
            ways = [one for one in alone if one in behind or not sums[one].isdisjoint(behind)]
            beside = set().union(*(direct.get(one, ()) for way in ways for one in (way, *sums[way])))
            yield family, factors, nodes, beside

    def _mixed_by_part(self, source: Family, family: Family, factors: tuple[int, ...]) -> bool:
        """Return whether a source is mixed within the parts of an axis, and clear once channels are taken by part."""
        answer = self.answers.get(source)
        if answer is None:
            return False
        unclear = answer.unclear({"consumer"})
        place = next(place for place in answer.alone.hits if answer.alone.seen[place].family == family)
        slots, (channel, certain) = answer.alone.seen[place].pattern, answer.codes[place]
        if not unclear or not bool(certain[slots].all()) or len(set(channel[slots].tolist())) < answer.size:
            return False
        part = torch.zeros(answer.size, dtype=torch.long)
        part[channel[slots]] = slots.nonzero().flatten() // factors[1]
        by_part = self.questions.coded({source: part})
        return by_part is not None and all(
            bool(sure(by_part[place], factors[0])[slots].all()) for place, slots in unclear.items()
        )

    def _attribute_all(self, blocks: Blocks) -> None:
        """Find out where the channels of all sources go, those first that have told it already."""
        unclear = {
            source: answer
            for source, answer in self.answers.items()
            if answer is not None and (answer.unclear(_CHANNELS) or answer.mixed_at_heads)
        }
        for node in steps("telling channels apart", [node for node in self.found.nodes if node not in unclear]):
            self._attribute(node, self.answers.get(node), blocks)
        for answer in unclear.values():
            for place in answer.alone.hits:
                if answer.alone.seen[place].kind in ("part", "size"):
                    self._link(answer, place, Blocks(self.evidence))
        again = AskedAgain(self.questions, self.evidence)
        for answer in again.answers([*unclear.values()]) if unclear else ():
            self._attribute(answer.family, answer, blocks)
        for source, mixers in again.mixers.items():
            reason = "it is combined with all other channels of its layer"
            blocks.add(source, FIRST, reason, index=mixers.nonzero().flatten())

    def _attribute(self, source: Family, answer: Answer | None, blocks: Blocks) -> None:
        """Find out where the channels of one source go."""
        if answer is None:
            refusals = {**self.found.refusals, **self.questions.refusals}
            blocks.add(source, FIRST, f"{_FLOW}: {refusals.get(source, self.runner.refusal)}")
            return
        run = self.found.alone[source]
        if answer.alone.returned or (run is not None and run.returned):
            blocks.add(source, FIRST, self.runner.example.ends)
        for place in answer.alone.hits:
            self._link(answer, place, blocks)

    def _link(self, answer: Answer, place: int, blocks: Blocks) -> None:
        seen = answer.alone.seen[place]
        if seen.kind == "opaque":
            path, what = self.clean.probe.opaque[int(seen.family[0].rpartition("#")[2])]
            blocks.add(answer.family, place, f"read by {path}, which runs {what}: tracing cannot look into that")
            return
        unclear = (seen.pattern & ~answer.sure(place)).nonzero().flatten()
        if seen.kind == "consumer" and len(unclear):
            line = self.clean.probe.lines.get(seen.family)
            reader = f"{seen.family[0].rpartition('.')[0]}{f' at {line}' if line else ''}"
            reason = f"an operation mixes them before they reach {reader}: several arrive at one of its inputs"
            blocks.add(answer.family, place, reason)
            # Positions are in all channels, but mix none with another one. So are gates, of a router for instance.
            if not answer.alone.probe.mixes.crossed and not answer.alike(place, unclear):
                mixture = f"{reader}, which reads them, is fed by a mixture of channels"
                blocks.add(answer.family, place, mixture, seen.family, unclear)
        if seen.kind == "sum" and len(unclear):
            blocks.add(answer.family, place, "each of them holds all channels of a sum, as a position does")
        if seen.kind == "head" and not len(unclear):  # several heads may share what one of them has
            self.evidence.link(*answer.reach(place).link)
        elif seen.kind == "consumer" or not len(unclear):
            self.evidence.reach(answer.reach(place))

    def _block_inputs(self) -> None:
        run = self.runner.attempt(self.runner.run_tainted_input, self.clean)
        if run is not None and self._linked() & {seen.family for seen in fed_slots(run)}:
            everything = {mixing.source: torch.ones(mixing.outputs, dtype=torch.bool) for mixing in run.probe.mixings}
            run = self.runner.attempt(lambda: self.runner.run_gated_input(everything), self.clean) or run
        for seen in fed_slots(run) if run is not None else []:
            self.evidence.block(seen.family, "fed by the model's input", seen.pattern.nonzero().flatten())

    def _block_statistics(self) -> None:
        """Keep channels of which the model returns a mean or the like."""
        found = sorted(self.runner.walls.found)
        for call in found if self._returned(found) else ():
            families = [family for family in self.evidence.norms if family[0] == f"{self.clean.probe.mode} norm {call}"]
            for family in families if self._returned([call]) else ():
                self.evidence.block(family, "the model returns a mean, or the like, over its channels")

    def _returned(self, calls: Sequence[int]) -> bool:
        """Return whether what statistics put out reaches what the model returns."""
        run = self.runner.attempt(lambda: self.runner.run(leaking=calls), self.clean) if calls else None
        return bool(calls) and (run is None or run.returned)

    def _untouched_carriers(self) -> set[str]:
        """Return per-channel tensors that no tainted channel came past: their own taint shows where they belong."""
        linked = self._linked()
        return {seen.family[0] for seen in self.clean.seen if seen.kind == "carrier" and seen.family not in linked}

    def _linked(self) -> set[Family]:
        ties = {family for one, _, other, _ in self.evidence.links for family in (one, other)}
        return ties | {family for reach in self.evidence.reaches for family in (reach.source, reach.family)}


def _in_front(nodes: Sequence[Family], reads: Mapping[Family, set[Family]]) -> list[Family]:
    """Return the sources whose channels go through grouped convolutions among some nodes, or through one in front."""
    through = {(node[0], INPUT) for node in nodes}
    found = [one for one, seen in reads.items() if not seen.isdisjoint(through) and one not in nodes]
    return [*found, *_in_front(found, reads)] if found else []


def _head_axis(factors: tuple[int, ...], heads: set[int]) -> int | None:
    """Return which factor of an axis counts heads; the first of three rather counts queries, keys and values."""
    places = [*range(1, len(factors)), 0] if len(factors) > 2 else [0, 1]
    exact = [place for place in places if factors[place] in heads]
    # Heads of keys and values may be fewer: several query heads share one.
    shared = [place for place in places if any(count % factors[place] == 0 for count in heads)]
    if len(factors) == 2 and 0 in shared:  # a head may be as large as there are heads
        return 0
    return next(iter([*exact, *shared]), None)
