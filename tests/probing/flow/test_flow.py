"""What a run without NaN tells of where channels may go, and the sums that are sources of their own."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.flow.junctions import Junctions
from physprune_pl.probing.runner import PartOfRun, Runner
from physprune_pl.probing.watching.tainting import ModulePath


class Residual(nn.Module):
    """A stream that two layers add to, in place or not, and a layer that reads it."""

    def __init__(self, in_place=False):
        super().__init__()
        self.stem, self.one, self.other, self.head = (nn.Linear(4, 4) for _ in range(4))
        self.in_place = in_place

    def forward(self, x):
        x = self.stem(x)
        for layer in (self.one, self.other):
            inner = layer(x.relu())
            if self.in_place:
                inner += x
            x = inner if self.in_place else x + inner
        return self.head(x)


SOURCES = [(f"{name}.weight", 0) for name in ("stem", "one", "other", "head")]


@pytest.fixture(params=[False, True])
def runner(request):
    model = Residual(request.param).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        yield Runner(model, Example.of(torch.randn(1, 4)), path, saved)


def reached(runner, flow, run, source):
    """The families of the places in the region of a source."""
    return [seen.family for place, seen in enumerate(run.seen) if flow.regions[source] >> place & 1]


def test_the_region_of_a_source_is_what_its_channels_reach(runner):
    flow = Flow()
    clean = runner.run(flow=flow)
    for source in SOURCES:
        alone = runner.run({source: torch.ones(4, dtype=torch.bool)})
        assert alone.reached == flow.regions[source]
    assert reached(runner, flow, clean, SOURCES[0]) == [(f"{name}.weight", 1) for name in ("one", "other", "head")]


def test_behind_a_sum_that_is_a_source_the_region_ends(runner):
    flow = Flow()
    runner.run(flow=flow)
    assert len(flow.classes(SOURCES)) == 3  # the head's meets no other
    runner.sums = Junctions({0: 1, 1: 1})
    flow = Flow()
    clean = runner.run(flow=flow, stopping=True)
    assert reached(runner, flow, clean, SOURCES[0]) == [("one.weight", 1), ("eval sum 0", 0)]
    assert reached(runner, flow, clean, ("eval sum 0", 0)) == [("other.weight", 1), ("eval sum 1", 0)]
    assert len(flow.classes([*SOURCES, ("eval sum 0", 0), ("eval sum 1", 0)])) == 2


def test_a_run_for_several_sources_is_that_of_each_of_them(runner):
    runner.sums = Junctions({0: 1, 1: 1})
    flow, masks = Flow(), {source: torch.ones(4, dtype=torch.bool) for source in (SOURCES[0], ("eval sum 1", 0))}
    runner.run(flow=flow, stopping=True)
    both = runner.run(masks, stopping=True)
    for source, mask in masks.items():
        alone, part = runner.run({source: mask}, stopping=True), PartOfRun(both, flow.regions[source])
        assert part.hits == alone.hits
        assert part.returned == alone.returned


def test_what_is_hidden_from_python_is_missing_in_a_region():
    class Hidden(Residual):
        def forward(self, x):
            return self.head(torch.from_numpy(self.stem(x).detach().numpy() * 1))

    model = Hidden().eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner, flow = Runner(model, Example.of(torch.randn(1, 4)), path, saved), Flow()
        runner.run(flow=flow)
        alone = runner.run({SOURCES[0]: torch.ones(4, dtype=torch.bool)})
    assert alone.reached & ~flow.regions[SOURCES[0]]
