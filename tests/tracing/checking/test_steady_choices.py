"""What is put in order is the same in two networks that differ by rounding alone."""

import pytest
import torch
from torch import nn

from physprune_pl.tracing.checking.comparable import Comparable
from physprune_pl.tracing.tracer import trace

STEP = {torch.float64: 2**-50, torch.float32: 2**-20}
ORDERING = {
    "topk": lambda x: x.topk(2),
    "sort": lambda x: torch.sort(input=x, dim=-1, descending=True),
    "argsort": lambda x: (x, x.argsort(-1)),
    "argmax": lambda x: (x, x.argmax(-1)),
}


@pytest.mark.parametrize("dtype", STEP)
@pytest.mark.parametrize("ordered", ORDERING.values(), ids=ORDERING.keys())
def test_a_last_digit_does_not_turn_an_order(ordered, dtype):
    one = torch.tensor([[0.5, 1.0, 1.0 + STEP[dtype]]], dtype=dtype)
    other = torch.tensor([[0.5, 1.0 + STEP[dtype], 1.0]], dtype=dtype)
    with Comparable({}):
        found = [ordered(x) for x in (one, other)]
    assert torch.equal(found[0][1], found[1][1])
    for x, (values, places) in zip((one, other), found, strict=True):
        assert values is x or torch.equal(values, x.gather(-1, places))


class Scored(nn.Module):
    """Orders steps by a score that is summed from the first channel on and, beside it, from the last one on."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.score, self.place = nn.Linear(6, 32), nn.Linear(32, 1), nn.Parameter(torch.arange(14.0))

    def forward(self, x):
        hidden = torch.relu(self.hidden(x))
        back = (hidden.flip(-1) * self.score.weight[0].flip(-1)).sum(-1) + self.score.bias
        scores = torch.cat([self.score(hidden)[..., 0], back], -1)
        return self.place[scores.sort(-1, descending=True).indices]


def test_a_network_that_orders_equal_scores_is_cut():
    torch.manual_seed(0)
    assert [group.name for group in trace(Scored(), torch.randn(4, 7, 6)).groups] == ["hidden"]
