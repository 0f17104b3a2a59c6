"""Optimizers that count in their groups or wrap another one are cut with what they wrap, and dropped once."""

import pytest
import torch
from gathering import Gathering, matrices, mean, network, plan, step

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.optimizer_states import counters_of, with_inner


class Counting(torch.optim.Optimizer):
    """Counts the steps of a group in the group, and makes matrices of weights."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr, "seen": 0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1
            group["seen"] += 1
            for parameter in group["params"]:
                state = self.state[parameter]
                mean(parameter, parameter.grad, state)
                if group["matrices"]:
                    matrices(parameter, parameter.grad, state)


def test_a_group_whose_steps_are_counted_together_is_begun_anew_together():
    model = network()
    groups = [{"params": [*model[0].parameters()], "matrices": True}, {"params": [*model[2].parameters()]}]
    optimizer = Counting([{"matrices": False, "name": "head", **group} for group in groups])
    for _ in range(3):
        step(model, optimizer)
    with pytest.warns(UserWarning, match="Counting keeps with 2 of"):
        apply_plan(model, plan(), [optimizer])
    first, second = optimizer.param_groups
    assert "step" not in first
    assert first["seen"] == 0
    assert (first["matrices"], first["name"], first["lr"]) == (True, "head", 0.01)
    assert (second["step"], second["seen"]) == (3, 3)
    assert set(optimizer.state) == set(second["params"])
    assert optimizer.state[model[2].weight]["mean"].shape == (3, 4)
    step(model, optimizer)


class Slow(torch.optim.Optimizer):
    """Wraps another optimizer, and keeps slow copies of the weights."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__(inner.param_groups, {})

    @torch.no_grad()
    def step(self, closure=None):
        self.inner.step()
        for group in self.param_groups:
            for parameter in group["params"]:
                slow = self.state[parameter].setdefault("slow", parameter.clone())
                slow.lerp_(parameter, 0.5)


def test_the_states_of_a_wrapper_and_of_what_it_wraps_are_cut():
    model = network()
    optimizer = Slow(torch.optim.Adam(model.parameters(), lr=0.01))
    assert [type(one).__name__ for one in with_inner(optimizer)] == ["Slow", "Adam"]
    step(model, optimizer)
    apply_plan(model, plan(), [optimizer])
    weight = model[0].weight
    assert optimizer.state[weight]["slow"].shape == optimizer.inner.state[weight]["exp_avg"].shape == (4, 5)
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


class SessionCallback(torch.optim.Optimizer):
    """Wraps another optimizer and has its groups and its state for its own, as SAM does."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.param_groups, self.state = inner, inner.param_groups, inner.state

    def step(self, closure=None):
        self.inner.step()


def test_a_state_that_wrapper_and_wrapped_share_is_dropped_once():
    model = network()
    optimizer = SessionCallback(Gathering(model.parameters(), matrices))
    step(model, optimizer)
    with pytest.warns(UserWarning, match="Gathering keeps with 3 of") as said:
        apply_plan(model, plan(), [optimizer])
    assert len(said) == 1
    step(model, optimizer)


@pytest.mark.parametrize(
    ("optimizer", "counters"),
    [
        (torch.optim.AdamW([torch.zeros(1)], lr=0.1), []),
        (torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9), []),
        (Counting([torch.zeros(1)]), ["seen"]),
        (Slow(torch.optim.Adam([torch.zeros(1)], lr=0.1)), []),
    ],
)
def test_counters_are_no_arguments_of_constructors(optimizer, counters):
    assert counters_of(optimizer, optimizer.param_groups[0]) == counters
