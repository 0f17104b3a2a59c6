"""Asking all sources of a model where their channels go, in as few runs as that takes.

What reaches nothing together is asked in one run. Where many sources flow into one stream, as in a residual network,
the sums of the stream are made sources of their own: then each source reaches only what lies before the next sum, and
the number of runs does not grow with the depth of the network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.flow.junctions import Junctions
from physprune_pl.probing.mixing.mixing import Crossings
from physprune_pl.probing.runner import Masks, Run, Runner
from physprune_pl.probing.watching.codes import Codes
from physprune_pl.probing.watching.observations import Family, Kind
from physprune_pl.tracing.asking.questions import Questions

FEW = 8
"""So many runs are made for the sources one by one before sums are looked at: that takes some runs by itself."""


_ROUNDS = 2
"""So often sums are tried, each time without those that turned out to be none that will do."""


@dataclass(frozen=True)
class Explored:
    """Where sources go.

    Attributes:
        questions: asks further.
        nodes: the sources, and the sums that are sources of their own, in call order.
        sums: number of such sums.
        together: what all of them told at once; None if the model took another way.
        alone: the run with all channels of a source NaN, as far as it reaches by itself.
        refusals: source without such a run -> what the model did.
    """

    questions: Questions
    nodes: Sequence[Family]
    sums: Mapping[Family, int]
    together: Codes | None
    alone: Mapping[Family, Run | None]
    refusals: Mapping[Family, str]

    @property
    def clean(self) -> Run:
        """The run without taint."""
        return self.questions.clean


class Explorer:
    """Asks sources in one mode of a model.

    Args:
        runner: runs the model.
        sizes: number of channels of every family; sums are added.
        kinds: observations whose slots must each tell one entry.
    """

    def __init__(self, runner: Runner, sizes: dict[Family, int], kinds: Collection[Kind]) -> None:
        self.runner, self.sizes, self.kinds = runner, sizes, kinds

    def explore(self, clean: Run, flow: Flow, lowest_bit: Sequence[Run]) -> Explored:
        """Ask all sources; the runs by the lowest bit of channels have been made already."""
        sources = list(dict.fromkeys(mixing.source for mixing in clean.probe.mixings))
        axes = self._axes(clean, flow, lowest_bit) if len(flow.classes(sources)) > FEW else {}
        for _ in range(_ROUNDS if axes else 0):
            self.runner.sums = Junctions(axes)
            found = self._asked(*self.followed(), sources, ())
            wrong = self._wrong(found)
            if not wrong:
                return found
            axes = {number: axis for number, axis in axes.items() if number not in wrong}
        if self.runner.sums.axes:
            self.runner.sums = Junctions()
            clean, flow = self.followed()
        return self._asked(clean, flow, sources, lowest_bit)

    def followed(self) -> tuple[Run, Flow]:
        """Run without taint, and note what goes into what."""
        flow = Flow()
        return self.runner.run(flow=flow, stopping=bool(self.runner.sums.axes)), flow

    def _asked(self, clean: Run, flow: Flow, sources: Sequence[Family], done: Sequence[Run]) -> Explored:
        sums = {seen.family: place for place, seen in enumerate(clean.seen) if seen.kind == "sum"}
        self.sizes |= {family: len(clean.seen[place].pattern) for family, place in sums.items()}
        nodes = _in_call_order(flow, sources, sums)
        stopping = bool(sums)

        def run(masks: Masks, last: float, crossings: Crossings | None = None) -> Run:
            return self.runner.run(masks, stopping=stopping, last=last, crossings=crossings)

        questions = Questions(self.runner, clean, run, self.sizes.__getitem__, self.kinds)
        together = questions.together(nodes, done)
        classes = [[node] for node in nodes] if together is None else flow.classes(nodes)
        alone, refusals = questions.alone_in_classes(flow, classes)
        numbers = {family: number for family, number in zip(sums, self.runner.sums.axes, strict=True)}
        return Explored(questions, nodes, numbers, together, {node: alone[node] for node in nodes}, refusals)

    def _axes(self, clean: Run, flow: Flow, lowest_bit: Sequence[Run]) -> dict[int, int]:
        """Return the sums of two activations, and the axis along which the lowest bit of channels is seen there.

        What has fewer or more channels than a sum flows into it in part: such a sum is left out, and with it those
        behind it, into which the same flows.
        """
        if len(lowest_bit) < 2:
            return {}
        one, other = (run.probe.junctions.striped for run in lowest_bit[:2])
        met = {number: bits for number, bits in clean.probe.junctions.met.items() if one.get(number) is not None}
        return {
            number: one[number][0]
            for number, bits in met.items()
            if one[number] == other.get(number)
            and all(self.sizes[source] == one[number][1] for source in flow.sources_of(bits))
        }

    def _wrong(self, found: Explored) -> set[int]:
        """Return the sums that may not stand for what comes to them: not all channels of all sources, each in place."""
        if found.together is None or found.refusals:
            return set(found.sums.values())
        wrong: set[int] = set()
        places = {place: seen.family for place, seen in enumerate(found.clean.seen) if seen.kind == "sum"}
        for place, family in places.items():
            index, certain = found.together[place]
            if not bool(certain.all()) or not torch.equal(index, torch.arange(len(index))):
                wrong.add(found.sums[family])
        for node, run in found.alone.items():
            for place in run.hits if run is not None else ():
                whole = place not in places or self.sizes[node] == int(found.clean.seen[place].pattern.numel())
                if not whole or (place in places and not bool(run is not None and run.seen[place].pattern.all())):
                    wrong.add(found.sums[places[place]])
        return wrong


def _in_call_order(flow: Flow, sources: Sequence[Family], sums: Mapping[Family, int]) -> list[Family]:
    """Put sums between the sources that are called before and after them."""
    places = [(flow.made.get(source, 0), 0, source) for source in sources]
    places += [(place, 1, family) for family, place in sums.items()]
    return [family for _, _, family in sorted(places, key=lambda one: one[:2])]


def closures(found: Explored) -> dict[Family, frozenset[Family]]:
    """Return the sums that every source flows into, directly or by way of others."""
    places = {place: seen.family for place, seen in enumerate(found.clean.seen) if seen.kind == "sum"}
    closed: dict[Family, frozenset[Family]] = {}
    for node in reversed(found.nodes):
        run = found.alone[node]
        direct = [places[place] for place in (run.hits if run is not None else ()) if place in places]
        closed[node] = frozenset(direct).union(*(closed.get(one, frozenset()) for one in direct))
    return closed
