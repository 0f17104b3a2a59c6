"""Tensors used by their own index are asked together where they do not meet, and apart where they do."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.watching.codes import word_length
from physprune_pl.probing.watching.tainting import ModulePath
from physprune_pl.tracing.asking.indexed_tensors import LooseTensors
from physprune_pl.tracing.evidence.evidence import Evidence


class Scaled(nn.Module):
    """Two layers, each followed by a scale that no rule can read; ``between`` decides where the scales end up."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 2)
        self.one, self.other = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6))
        self.between = between

    def forward(self, x):
        return self.last(self.between(self.first(x), self.one.exp(), self.other.exp()))


def linked(model, names=("one", "other")):
    """Which entry of a loose tensor reaches which column of the last layer, and how many runs it took to know."""
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model.eval(), Example.of(torch.randn(2, 3)), path, saved)
        evidence, clean = Evidence(), runner.run()
        evidence.sizes = {seen.family: len(seen.pattern) for seen in clean.seen}
        runs, run = [], runner.run
        runner.run = lambda *args, **kwargs: runs.append(1) or run(*args, **kwargs)
        LooseTensors(runner, evidence, clean).collect(names)
    found = {
        reach.source[0]: dict(zip(reach.slots.tolist(), reach.index.tolist(), strict=True))
        for reach in evidence.reaches
        if reach.family[0] in ("last.weight", *(f"layers.{place}.weight" for place in range(1, 4)))
    }
    return found, len(runs)


SAME = {slot: slot for slot in range(6)}


def test_scales_of_one_stream_are_coded_together():
    found, runs = linked(Scaled(lambda x, one, other: x * one * other))
    assert found == {"one": SAME, "other": SAME}
    assert runs == 2 + word_length(6)  # each whole, then both by what tells six entries apart


def test_scales_that_meet_in_another_order_are_told_apart():
    found, runs = linked(Scaled(lambda x, one, other: x * one * other.flip(0)))
    assert found == {"one": SAME, "other": {slot: 5 - slot for slot in range(6)}}
    assert runs > 2 + word_length(6)


def test_a_scale_whose_entries_all_reach_every_channel_is_linked_to_nothing():
    found, runs = linked(Scaled(lambda x, one, other: x * one.sum() * other))
    assert found == {"other": SAME}
    # Each whole, two runs in which both tell nothing, each by its lowest bit; the other is worth the rest.
    assert runs == 2 + 2 + 2 * 2 + (word_length(6) - 2)


@pytest.mark.parametrize("between", [lambda x, one, other: x, lambda x, one, other: x * one])
def test_a_tensor_that_reaches_nothing_has_no_links(between):
    assert "other" not in linked(Scaled(between))[0]


class Row(nn.Module):
    """Layers in a row, each followed by a scale that no rule can read."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, 6) for size in (3, 6, 6, 6))
        self.scales = nn.ParameterList(torch.ones(6) for _ in self.layers)
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = layer(x) * scale.exp()
        return self.last(x)


def test_tensors_that_reach_nothing_together_are_tainted_whole_in_one_run():
    names = [f"scales.{place}" for place in range(4)]
    found, runs = linked(Row(), names)
    assert found == dict.fromkeys(names, SAME)
    assert runs == 1 + 1 + word_length(6)  # where each goes, all of them whole, and which entry is which
