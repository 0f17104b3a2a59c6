"""Weights that are masked and lengthened where they are used are worth what a masked copy in double precision is."""

import pytest
import torch
from torch import nn

from physprune_pl.tracing.checking import large_weights as module
from physprune_pl.tracing.checking.large_weights import LargeWeights, large_weights


class Mixed(nn.Module):
    """A convolution, a linear layer, and rows of a weight that two layers share."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 8)
        self.shared, self.scaled = nn.Parameter(torch.randn(6, 8)), nn.Parameter(torch.randn(5, 6))

    def forward(self, x):
        x = self.linear(self.conv(x).mean((2, 3)).relu())
        one, other = self.shared.chunk(2)
        x = torch.cat([nn.functional.linear(x, one), nn.functional.linear(x, other)], 1)
        return nn.functional.linear(x, self.scaled * 2)


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1)
    torch.manual_seed(0)
    return Mixed().requires_grad_(False).eval()


def masked(model, masks):
    """A copy in double precision with zeros."""
    copy = Mixed().requires_grad_(False).eval()
    copy.load_state_dict(model.state_dict())
    copy.double()
    for name, dim, index in masks:
        copy.get_parameter(name).index_fill_(dim, torch.tensor(index), 0.0)
    return copy


def odd(model, example):
    """The large weights that a run uses otherwise than layers do."""
    names = set(large_weights(model))
    assert names == {name for name, tensor in model.named_parameters() if tensor.dim() > 1}
    with LargeWeights(dict(model.named_parameters()), names, torch.float32) as weights:
        model(example)
    return weights.odd


def test_a_weight_that_is_computed_with_is_told_from_those_of_layers(model):
    assert odd(model, torch.randn(2, 3, 4, 4)) == {"scaled"}


@pytest.mark.parametrize(
    "masks",
    [
        [],
        [("conv.weight", 0, [0, 5]), ("linear.weight", 1, [0, 5])],
        [("conv.weight", 1, [1]), ("linear.weight", 0, [2]), ("shared", 0, [0, 4]), ("shared", 1, [2])],
    ],
)
def test_masked_weights_put_out_what_a_masked_copy_does(model, masks):
    x, names = torch.randn(2, 3, 4, 4).double(), {"conv.weight", "linear.weight", "shared"}
    wanted = masked(model, masks)(x)
    tensors = dict(model.named_parameters())
    for name in tensors.keys() - names:
        tensors[name].data = tensors[name].data.double()
    weights = LargeWeights(tensors, names, torch.float64)
    assert all(weights.mask(tensors[name], dim, torch.tensor(index)) for name, dim, index in masks)
    assert not weights.mask(tensors["linear.bias"], 0, torch.tensor([0]))
    with weights:
        got = model(x)
        assert model.conv.weight.dtype is torch.float64
        whole = model.linear.weight + 0
    assert torch.allclose(got, wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(whole, masked(model, masks).linear.weight)
    assert model.conv.weight.dtype is torch.float32


def test_what_is_not_finite_is_not_passed_over(model):
    tensors = dict(model.named_parameters())
    weights = LargeWeights(tensors, {"linear.weight"}, torch.float32)
    weights.mask(tensors["linear.weight"], 1, torch.tensor([0]))
    with weights:
        assert model.linear(torch.tensor([[float("inf"), 1, 1, 1, 1, 1]])).isnan().all()


def test_a_table_is_looked_up_short_unless_that_changes_it(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1)
    table, changed = nn.Embedding(5, 3), nn.Embedding(5, 3, max_norm=0.1)
    ids = torch.tensor([[4, 0]])
    with torch.no_grad():
        assert odd(table, ids) == set()
        assert odd(changed, ids) == {"weight"}
    weights = LargeWeights({"weight": table.weight}, {"weight"}, torch.float64)
    weights.mask(table.weight, 1, torch.tensor([1]))
    with torch.no_grad(), weights:
        found = table(ids)
    assert found.dtype is torch.float64
    assert torch.equal(found, table.weight.detach().double()[ids] * torch.tensor([1.0, 0.0, 1.0]))
