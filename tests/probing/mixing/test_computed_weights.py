"""Weights computed from parameters are cut through the parameters; parts that nobody can look into stay whole."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from experiments.zoo.network import CLASSES
from experiments.zoo.ours import cut_and_judge
from experiments.zoo.vision import ChannelGate, scripted
from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.probing.mixing.computed_weights import ComputedWeights, normed_by_length, spectral_norms
from physprune_pl.tracing.tracer import trace


def hooked_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer)


class Scaled(nn.Conv1d):
    """Equalised learning rate: the weight is multiplied by a constant in every call."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight * 0.5 / 2.0, self.bias, padding=self.padding, groups=self.groups)


NORMS = {
    "weight norm": parametrizations.weight_norm,
    "weight norm by hook": hooked_weight_norm,
    "one length for all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "spectral norm": parametrizations.spectral_norm,
    "spectral norm by hook": nn.utils.spectral_norm,
    "scale": lambda layer: (
        Scaled(layer.in_channels, layer.out_channels, 3, padding=1, groups=layer.groups)
        if isinstance(layer, nn.Conv1d)
        else layer
    ),
}


def network(norm) -> nn.Module:
    torch.manual_seed(0)
    layers = [norm(nn.Conv1d(3, 12, 3, padding=1)), nn.ReLU(), norm(nn.Conv1d(12, 12, 3, padding=1, groups=2))]
    layers += [nn.Tanh(), norm(nn.ConvTranspose1d(12, 8, 3)), nn.ReLU(), nn.Flatten(), norm(nn.Linear(64, CLASSES))]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("name", NORMS)
def test_computed_weights_are_cut_through_their_parameters(name):
    parts = list(cut_and_judge(name, lambda name: (network(NORMS[name]), torch.randn(4, 3, 6))))
    row = {key: value for part in parts for key, value in part.items()}
    assert row["problems"] == []
    assert row["groups"] == 2  # a convolution in two groups ties its outputs to its inputs
    assert row["left_whole"] == {"the model returns its channels": ["7"]}


def test_a_norm_over_channels_makes_a_group_inexact():
    exact = {
        name: [group.exact for group in trace_groups(network(norm), torch.zeros(1, 3, 6))]
        for name, norm in NORMS.items()
    }
    assert exact["scale"] == [True, True]
    assert not any(exact["spectral norm"])
    # A length of its own for every output; of the transposed convolution, for every input.
    assert exact["weight norm"] == exact["weight norm by hook"] == [True, False]


def test_a_group_is_named_after_the_module_with_the_norm():
    model = network(parametrizations.weight_norm)
    assert [group.name for group in trace_groups(model, torch.zeros(1, 3, 6))] == ["0", "4"]
    whole = trace(model, torch.zeros(1, 3, 6), ignore=["4"]).left_whole
    assert ("4", "ignored by the user: its outputs stay, its inputs may shrink") in [
        (left.name, left.reason) for left in whole
    ]


def test_training_goes_on_after_a_cut_in_spite_of_a_graph_that_the_weight_remembers():
    model, x = network(hooked_weight_norm), torch.randn(4, 3, 6)
    model(x).sum().backward()
    apply_plan(model, plan_pruning(model, x, {"macs": 0.5}))
    model(x).sum().backward()
    assert all(part.grad.shape == part.shape for part in model.parameters())


def test_spectral_norms_are_found_with_their_vectors():
    for name in ("spectral norm", "spectral norm by hook"):
        found = list(spectral_norms(network(NORMS[name])))
        assert [(one.weight.shape[one.dim], one.dim, one.groups) for one in found] == [
            *((12, 0, 1), (12, 0, 2), (8, 1, 1), (CLASSES, 0, 1))
        ]
        assert all(len(one.rows) * len(one.columns) == one.weight.numel() for one in found)


def test_a_direction_that_is_zero_has_no_length():
    direction, length = torch.randn(3, 4), torch.rand(3, 1)
    torch.testing.assert_close(normed_by_length(direction, length), torch._weight_norm(direction, length))
    assert normed_by_length(torch.zeros(2, 2), torch.ones(2, 1)).eq(0).all()


def test_what_stands_for_a_parameter():
    weight = nn.Parameter(torch.randn(3, 2))
    known = ComputedWeights({id(weight)})
    half = weight / 2
    assert known.follow(Tensor.div, (weight, 2), half)
    assert known.original(half) is weight
    assert not known.follow(Tensor.mul, (weight, torch.ones(2)), weight * torch.ones(2))
    assert not known.follow(Tensor.mul, (torch.ones(3, 2), 2), torch.ones(3, 2))
    assert known.original("other") == "other"


class WithGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.second = nn.Conv2d(3, 8, 3), scripted(ChannelGate(8)), nn.Conv2d(8, 12, 3)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.second(self.gate(self.first(x)))).mean((2, 3)))


def test_a_scripted_part_stays_whole_and_is_named():
    model, x = WithGate(), torch.randn(2, 3, 8, 8)
    code = model.gate.code
    traced = trace(model, x)
    assert [group.name for group in traced.groups] == ["second"]
    reasons = {left.name: left.reason for left in traced.left_whole}
    assert reasons["gate"].startswith("it runs TorchScript")
    assert reasons["first"].startswith("read by gate, which runs TorchScript")
    apply_plan(model, plan_pruning(model, x, {"params": 0.75}))
    model(x).sum().backward()
    assert isinstance(model.gate, torch.jit.ScriptModule)
    assert model.gate.code == code
