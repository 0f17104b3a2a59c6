"""What is left whole says which line of the network's code is the cause."""

import pytest
import torch
from torch import nn

from experiments.structures.nets import CASES
from physprune_pl.structure import LeftWhole
from physprune_pl.tracing.evidence.coupling import find_groups
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.tracer import trace


class Pair(nn.Module):
    """Two layers with something between them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 8), nn.Linear(8, 2)

    def between(self, x):
        return x

    def forward(self, x):
        return self.other(self.between(self.one(x)))


class Sized(Pair):
    def between(self, x):
        return x.view(len(x), 2, 4).flatten(1)


class Rolled(Pair):
    def between(self, x):
        return x.roll(1, -1)


class Branched(Pair):
    def between(self, x):
        return x if bool((x > 0).any()) else 2 * x


class Refusing(Pair):
    def between(self, x):
        if x.isnan().any():
            raise ValueError("NaN")
        return x


class Recurrent(Pair):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(8, 8, batch_first=True)

    def between(self, x):
        return self.cell(x[:, None])[0][:, 0]


class Computed(Pair):
    def __init__(self) -> None:
        super().__init__()
        self.maker = nn.Linear(4, 64)

    def forward(self, x):
        weight = self.maker(x[:1]).view(8, 8)
        return self.other(nn.functional.linear(self.one(x), weight))


class Summed(Pair):
    def between(self, x):
        return x @ torch.ones(8, 8)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            Sized,
            [
                "raises an error at tracing/test_reasons.py:30, `return x.view(len(x), 2, 4).flatten(1)`",
                *("[1, 2, 4]", "a number in the code or the config, or what was made for another layer"),
            ],
        ),
        (Summed, ["mixes them before they reach other at tracing/test_reasons.py:25, `return self.other("]),
        (Rolled, ["changes what reaches other", "the order of its channels"]),
        (Branched, ["control flow depends on values: a branch on values at tracing/test_reasons.py:40, `return x if"]),
        (Refusing, ["control flow depends on values", "tracing/test_reasons.py:45, `if x.isnan().any():`"]),
        (Recurrent, ["read by cell, which runs gru at tracing/test_reasons.py:56"]),
        (Computed, ["which runs linear with a weight that is computed at tracing/test_reasons.py:66"]),
    ],
)
def test_a_reason_names_the_line(model, words):
    torch.manual_seed(0)
    reasons = {left.name: left.reason for left in trace(model(), torch.randn(5, 4)).left_whole}
    assert all(part in reasons["one"] for part in words), reasons["one"]


class OneHead(Pair):
    """Attention with one head, as wide as its input."""

    def __init__(self) -> None:
        super().__init__()
        self.triple = nn.Linear(8, 24)

    def between(self, x):
        tokens, width = x.shape
        query, key, value = self.triple(x).reshape(1, tokens, 3, 1, width).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return x + mixed.transpose(1, 2).reshape(tokens, width)


def test_what_goes_in_step_with_the_only_head_names_where_it_is():
    reasons = {left.name: left.reason for left in trace(OneHead(), torch.randn(5, 4)).left_whole}
    line = "tracing/test_reasons.py:108, `mixed = nn.functional.scaled_dot_product_attention(query, key, value)`"
    assert reasons["one"].endswith(f"would be left without channels: all of them go with the only head at {line}")


class Averaged(Pair):
    """Two heads whose mean is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.beside = nn.Linear(8, 2)

    def forward(self, x):
        x = self.one(x)
        return torch.stack([self.other(x), self.beside(x)]).mean(0)


def test_heads_of_which_the_mean_is_returned_stay_because_it_is():
    reasons = {left.name: left.reason for left in trace(Averaged(), torch.randn(5, 4)).left_whole}
    assert reasons == dict.fromkeys(("other", "beside"), "the model returns its channels")


class Shuffled(Pair):
    """Halves of one width, shuffled between, until every channel is tied to every other one."""

    def between(self, x):
        for _ in range(3):
            left, right = x.chunk(2, 1)
            x = torch.stack([left, 2 * right], 2).flatten(1)
        return x


def test_parts_that_tie_all_channels_name_where_they_are_made():
    reasons = {left.name: left.reason for left in trace(Shuffled(), torch.randn(5, 4)).left_whole}
    line = "tracing/test_reasons.py:140, `left, right = x.chunk(2, 1)`"
    assert reasons["one"] == f"other would be left without channels: all of them go together, in equal parts at {line}"


def test_every_reason_says_for_how_many_channels():
    source = ("one.weight", 0)
    evidence = Evidence(sizes={source: 3}, sources={source: None})
    evidence.block(source, "first reason", torch.tensor([1]))
    evidence.block(source, "second reason")
    found = find_groups(evidence, frozenset({"one.weight"}), frozenset()).left_whole
    assert found == [LeftWhole("one", "2 of 3 channels: second reason; 1 of 3 channels: first reason")]


def test_positions_of_a_stream_are_named_as_such():
    case = CASES["DeepGatedByPatches"]
    torch.manual_seed(0)
    reasons = {left.name: left.reason for left in trace(case.build().eval(), case.example()).left_whole}
    words = "each of them holds all channels of a sum, as a position does"
    assert {reasons[f"blocks.{block}.over_patches"] for block in range(8)} == {words}


class Standardised(nn.Linear):
    def forward(self, x):
        deviation, mean = torch.std_mean(self.weight, 1, keepdim=True)
        return nn.functional.linear(x, (self.weight - mean) / (deviation + 1e-5), self.bias)


def test_what_a_standardised_weight_reads_stays_because_of_it_and_its_outputs_are_pruned():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), Standardised(8, 6), nn.ReLU(), nn.Linear(6, 2))
    traced = trace(model, torch.randn(5, 4))
    reasons = {left.name: left.reason for left in traced.left_whole}
    assert [group.name for group in traced.groups] == ["2"]
    assert reasons["0"].startswith("read by 2, whose weight is standardised over its inputs")
