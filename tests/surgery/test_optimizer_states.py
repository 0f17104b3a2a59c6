"""Whatever an optimizer remembers of a parameter, it follows the cut or is begun anew; the next step works."""

import warnings
from collections import deque

import pytest
import torch
from gathering import DROPPED, KEEP, SLICED, Gathering, basis, factored, flat, matrices, mean, network, plan, step
from torch import nn

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.optimizer_states import cut_states
from physprune_pl.surgery.plan import PruningPlan, TensorCut
from physprune_pl.surgery.state_layouts import layouts_of


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from tensors_of(item)


@pytest.mark.parametrize("gather", SLICED)
def test_what_can_be_sliced_is_that_of_the_channels_that_stay(gather):
    model = network()
    optimizer = Gathering(model.parameters(), gather)
    step(model, optimizer)
    before = {one: [part.clone() for part in tensors_of(state)] for one, state in optimizer.state.items()}
    apply_plan(model, plan(), [optimizer])
    kept, cut = torch.tensor(KEEP), 0
    for parameter, state in optimizer.state.items():
        for old, new in zip(before[parameter], tensors_of(state), strict=True):
            if gather is flat and old.dim() == 1 and parameter.dim() == 2:
                shape = (8, 5) if parameter is model[0].weight else (3, 8)
                old, new = old.reshape(shape), new.reshape(parameter.shape)
            for dim in range(old.dim()):
                if old.shape[dim] == 8:
                    old, cut = old.index_select(dim, kept), cut + 1
            assert torch.equal(old, new)
    assert cut
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("gather", DROPPED)
def test_what_cannot_is_begun_anew_and_said_once(gather):
    model = network()
    optimizer = Gathering(model.parameters(), gather)
    step(model, optimizer)
    untouched = optimizer.state[model[2].bias]
    with pytest.warns(UserWarning, match="Gathering keeps with 3 of the parameters.*begins to gather") as said:
        apply_plan(model, plan(), [optimizer])
    assert len(said) == 1
    assert set(optimizer.state) == {model[2].bias}
    assert optimizer.state[model[2].bias] is untouched
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


def square():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh(), nn.Linear(8, 8, bias=False))


def square_plan():
    cuts = {"0.weight": TensorCut((8, 8), {0: KEEP}), "2.weight": TensorCut((8, 8), {1: KEEP})}
    return PruningPlan(cuts, (), (), (1, 1), (1, 1))


def square_step(model, optimizer):
    loss = model(torch.randn(4, 8)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize(("gather", "sliced"), [(mean, True), (matrices, False), (basis, False), (factored, False)])
def test_where_every_weight_is_square_a_matrix_over_channels_is_told_from_a_mean(gather, sliced):
    model = square()
    optimizer = Gathering(model.parameters(), gather)
    square_step(model, optimizer)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        apply_plan(model, square_plan(), [optimizer])
    assert (len(said) == 0) == sliced
    assert (len(optimizer.state) == 2) == sliced
    square_step(model, optimizer)


def test_other_parameters_tell_how_a_tensor_lies_along_a_square_weight():
    weight, wide = torch.zeros(4, 4), torch.zeros(4, 6)
    states = {weight: {"rows": torch.ones(4)}, wide: {"rows": torch.ones(4)}}
    assert layouts_of(states) == {("rows",): frozenset({("without", 1)})}
    assert layouts_of({weight: states[weight]}) == {("rows",): frozenset({("without", 1), ("without", 2)})}


def test_nothing_changes_before_the_cut():
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = torch.arange(4.0)
    optimizer.step()
    change = cut_states([optimizer], {id(weight): TensorCut((4,), {0: (1, 3)})})
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [0.0, 1.0, 2.0, 3.0]
    change()
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [1.0, 3.0]
