"""Copies of weights in the states of optimizers: told from moments, scaled as the weights are, each once."""

import pytest
import torch
from torch import nn

from experiments.reliability.optimizers import Averaging, Masters, Perturbed, Signs
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.weight_copies import WeightCopies
from physprune_pl.strengths import L1, L2, SquaredL2
from physprune_pl.structure import ChannelGroup, Slice


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def group():
    every = (0, 1, 2, 3)
    slices = (("0.weight", 0, "filter"), ("0.bias", 0, "carrier"), ("2.weight", 1, "consumer"))
    return ChannelGroup("0", 4, tuple(Slice(name, dim, every, every, role) for name, dim, role in slices))


def trained(make, steps=2):
    model = network()
    optimizer = make(model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = model(torch.linspace(-1, 1, 12).view(4, 3)).square().mean()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return model, optimizer


def copies_of(model, strength=None):
    seen = {}
    return WeightCopies([group()], dict(model.named_parameters()), strength or L2(), seen), seen


KINDS = [
    (Signs, {"Signs.mean": False}),
    (Averaging, {"Averaging.z": True}),
    (Masters, {"Masters.master": True}),
    (lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9), {"SGD.momentum_buffer": False}),
    (lambda parameters: torch.optim.Adam(parameters, 0.1), {"Adam.exp_avg": False, "Adam.exp_avg_sq": False}),
    (torch.optim.Rprop, {"Rprop.prev": False, "Rprop.step_size": False}),
    (
        lambda parameters: Perturbed(parameters, torch.optim.SGD, lr=0.1, momentum=0.9),
        {"Perturbed.before": True, "SGD.momentum_buffer": False},
    ),
]


@pytest.mark.parametrize(("make", "expected"), KINDS)
def test_copies_are_told_from_moments_by_their_values(make, expected):
    model, optimizer = trained(make)
    copies, seen = copies_of(model)
    copies.look(optimizer)
    assert seen == expected


def test_what_was_found_out_is_not_judged_again():
    model, optimizer = trained(Averaging)
    copies, seen = copies_of(model)
    copies.look(optimizer)
    for state in optimizer.state.values():
        state["z"].zero_()
        state["later"] = torch.zeros_like(state["z"])
    copies.look(optimizer)
    assert seen == {"Averaging.z": True, "Averaging.later": False}


@pytest.mark.parametrize("strength", [L2(), L1(), SquaredL2()])
@pytest.mark.parametrize("make", [Averaging, Masters])
def test_they_are_scaled_as_the_weights_are(make, strength):
    model, optimizer = trained(make)
    key = "z" if make is Averaging else "master"
    before = {one: (one.detach().clone(), optimizer.state[one][key].clone()) for one in model.parameters()}
    copies, _ = copies_of(model, strength)
    copies.look(optimizer)
    keep, every = torch.tensor([1.0, 0.5, 0.1, 0.0]), {id(one) for one in model.parameters()}
    Penalty([group()], dict(model.named_parameters()), strength).shrink(keep)
    copies.shrink(keep, optimizer, every)
    assert not torch.equal(model[0].weight, before[model[0].weight][0])
    for one, (weight, copy) in before.items():
        expected = torch.where(weight == 0, copy, copy * (one.detach() / weight))
        torch.testing.assert_close(optimizer.state[one][key], expected.to(copy))


def test_only_copies_of_what_is_meant_are_scaled():
    model, optimizer = trained(Averaging)
    copies, _ = copies_of(model)
    copies.look(optimizer)
    bias = optimizer.state[model[0].bias]["z"].clone()
    copies.shrink(torch.zeros(4), optimizer, {id(model[0].weight)})
    assert not optimizer.state[model[0].weight]["z"].any()
    assert torch.equal(optimizer.state[model[0].bias]["z"], bias)


def test_a_state_that_two_optimizers_share_or_that_is_the_weight_is_scaled_once():
    model, optimizer = trained(Averaging)

    class Sharing(torch.optim.Optimizer):
        def __init__(self, inner):
            super().__init__(inner.param_groups, {})
            self.inner, self.state = inner, inner.state

    for one, state in optimizer.state.items():
        state["itself"] = one
    wrapper, (copies, _) = Sharing(optimizer), copies_of(model)
    copies.look(wrapper)
    z, weight = optimizer.state[model[0].weight]["z"].clone(), model[0].weight.detach().clone()
    copies.shrink(torch.full((4,), 0.5), wrapper, {id(one) for one in model.parameters()})
    torch.testing.assert_close(optimizer.state[model[0].weight]["z"], z / 2)
    assert torch.equal(model[0].weight, weight)


def test_a_copy_that_is_made_anew_at_every_step_is_found_again():
    model, optimizer = trained(Averaging)
    copies, _ = copies_of(model)
    copies.look(optimizer)
    every = {id(one) for one in model.parameters()}
    for _ in range(2):
        for state in optimizer.state.values():
            state["z"] = state["z"].clone()
        before = optimizer.state[model[0].weight]["z"].clone()
        copies.shrink(torch.full((4,), 0.5), optimizer, every)
        torch.testing.assert_close(optimizer.state[model[0].weight]["z"], before / 2)
