"""Sums that may stand for what flows into them are tried, and no others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.watching.tainting import ModulePath
from physprune_pl.tracing.asking.collector import Collector
from physprune_pl.tracing.evidence.evidence import Evidence


class Stream(nn.Module):
    """Ten layers in a residual stream, of which the first makes ``wide`` channels; the stream begins with four."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.first = nn.Linear(3, wide)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(10))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)[:, :4]
        for layer in self.layers:
            x = x + layer(x)
        return self.last(x)


def sums_and_ways(wide: int) -> tuple[int, int]:
    """How many sums are sources of their own in the end, and how many runs note what goes into what."""
    model = Stream(wide).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner, followed = Runner(model, Example.of(torch.randn(2, 3)), path, saved), []
        run = runner.run
        runner.run = lambda *args, **kwargs: followed.append("flow" in kwargs) or run(*args, **kwargs)
        collector = Collector(runner, Evidence())
        collector.register()
        collector.collect()
    return len(collector.found.sums), sum(followed)


def test_sums_of_what_is_as_wide_stand_for_what_flows_into_them() -> None:
    assert sums_and_ways(4) == (10, 2)


def test_sums_into_which_half_of_a_layer_flows_are_not_even_tried() -> None:
    assert sums_and_ways(8) == (0, 1)
