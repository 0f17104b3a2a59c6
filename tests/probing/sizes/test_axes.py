"""Parts of an axis stay equal, and a module may remember how many there are."""

import pytest
import torch
from torch import Tensor, nn

from experiments.structures.verdict import judge_trace
from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.tracing.tracer import trace


class Halves(nn.Module):
    """A gated layer that remembers into how many parts its channels go."""

    def __init__(self, split: str) -> None:
        super().__init__()
        self.parts, self.split = 2, split
        self.first, self.last = nn.Linear(4, 12), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, other = getattr(torch, self.split)(self.first(x), self.parts, 1)
        return self.last(one * other.sigmoid())


@pytest.mark.parametrize("split", ["chunk", "tensor_split"])
def test_a_remembered_number_of_parts_stays_when_each_of_them_shrinks(split):
    model, example = Halves(split), torch.randn(2, 4)
    (group,) = trace_groups(model, example)
    assert (group.name, group.size) == ("first", 6)
    apply_plan(model, plan_pruning(model, example, {"params": 50 / 74}))
    assert model.parts == 2
    assert model.first.out_features == 8
    assert model(example).shape == (2, 2)


class Uneven(nn.Module):
    """Parts of which the last is shorter, each shifted by a vector of its own."""

    def __init__(self, split: str, lengths: list[int]) -> None:
        super().__init__()
        self.split, self.parts = split, len(lengths)
        self.first, self.last = nn.Linear(4, sum(lengths)), nn.Linear(sum(lengths), 2)
        self.shifts = nn.ParameterList(torch.randn(length) for length in lengths)

    def forward(self, x: Tensor) -> Tensor:
        parts = getattr(torch, self.split)(self.first(x), self.parts, 1)
        return self.last(torch.cat([part + shift for part, shift in zip(parts, self.shifts, strict=True)], 1))


@pytest.mark.parametrize(("split", "lengths"), [("chunk", [6, 6, 4]), ("tensor_split", [6, 5, 5])])
def test_parts_of_two_lengths_lose_channels_at_the_same_places(split, lengths):
    model, example = Uneven(split, lengths), torch.randn(2, 4)
    traced = trace(model, example)
    assert [group.size for group in traced.groups] == [min(lengths)]
    assert judge_trace(split, model, example, traced).problems == []
