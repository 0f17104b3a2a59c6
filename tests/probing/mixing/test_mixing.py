"""Calls that mix channels with a weight are known however their arguments are given."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.networks.measure import count_macs


class Positions(nn.Module):
    """Looks up positions by numbers that the network keeps in a buffer."""

    def __init__(self, keyword: bool) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(20, 8), nn.Parameter(torch.randn(7, 8))
        self.hidden, self.last = nn.Linear(8, 6), nn.Linear(6, 3)
        self.register_buffer("numbers", torch.arange(7))
        self.keyword = keyword

    def forward(self, x: Tensor) -> Tensor:
        given = {"input": self.numbers, "weight": self.place}
        place = F.embedding(**given) if self.keyword else F.embedding(self.numbers, self.place)
        return self.last(self.hidden(self.word(x) + place).relu())


class Added(nn.Module):
    """A linear layer as ``addmm``, its output being the first argument's columns."""

    def __init__(self, keyword: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(3, 2)
        self.matrix, self.shift = nn.Parameter(torch.randn(6, 3)), nn.Parameter(torch.randn(3))
        self.keyword = keyword

    def forward(self, x: Tensor) -> Tensor:
        given = {"input": self.shift, "mat1": self.first(x), "mat2": self.matrix}
        return self.last(torch.addmm(**given) if self.keyword else torch.addmm(*given.values()))


def slices(model: nn.Module, example: Tensor) -> dict[str, set[tuple[str, int]]]:
    return {group.name: {(part.name, part.dim) for part in group.slices} for group in trace_groups(model, example)}


@pytest.mark.parametrize("keyword", [False, True])
def test_a_table_is_known_beside_indices_that_are_a_buffer(keyword):
    found = slices(Positions(keyword), torch.randint(0, 20, (2, 7)))
    assert found["place"] == {("word.weight", 1), ("place", 1), ("hidden.weight", 1)}
    assert found["hidden"] == {("hidden.weight", 0), ("hidden.bias", 0), ("last.weight", 1)}


@pytest.mark.parametrize("keyword", [False, True])
def test_a_matrix_product_with_a_shift_is_known_by_place_and_by_keyword(keyword):
    found = slices(Added(keyword), torch.randn(2, 4))
    assert found["first"] == {("first.weight", 0), ("first.bias", 0), ("matrix", 0)}
    assert {("matrix", 1), ("shift", 0), ("last.weight", 1)} in found.values()


class MixesPatches(nn.Module):
    """A layer mixes the patches of every channel, the next one channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.patches, self.last = nn.Linear(3, 6), nn.Linear(5, 5), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.patches(self.stem(x).transpose(1, 2)).transpose(1, 2)).mean(1)


def test_channels_are_followed_through_a_layer_that_mixes_positions():
    model, example = MixesPatches(), torch.randn(2, 5, 3)
    (group,) = trace_groups(model, example)
    assert {(part.name, part.dim) for part in group.slices} == {
        ("stem.weight", 0),
        ("stem.bias", 0),
        ("last.weight", 1),
    }
    plan = plan_pruning(model, example, {"macs": 0.5})
    assert plan.macs == (5 * 18 + 6 * 25 + 5 * 12, count_macs(apply_plan(model, plan), example))
    assert plan.macs[1] == plan.macs[0] / 2
