"""Train mode is run once where it makes the calls of eval mode, and looked at in full where it makes others."""

import pytest
import torch
from torch import nn

from physprune_pl.probing.runner import Runner
from physprune_pl.tracing.tracer import trace


class Auxiliary(nn.Module):
    def __init__(self, reading: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.ReLU())
        self.head, self.auxiliary, self.reading = nn.Conv2d(6, 2, 3), nn.Conv2d(6, 2, 3), reading

    def forward(self, x):
        x = self.body(x)
        return (self.head(x), self.auxiliary(x)) if self.training and self.reading else self.head(x)


@pytest.mark.parametrize("reading", [False, True])
def test_train_mode_is_run_in_full_only_where_it_reads_more(monkeypatch, reading):
    runs, run = [], Runner.run
    monkeypatch.setattr(
        Runner, "run", lambda self, *args, **named: runs.append(self.model.training) or run(self, *args, **named)
    )
    (group,) = trace(Auxiliary(reading), torch.randn(2, 3, 6, 6)).groups
    assert ("auxiliary.weight" in {part.name for part in group.slices}) is reading
    assert (sum(runs) == 1) is not reading
