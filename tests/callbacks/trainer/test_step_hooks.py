"""Visits around the steps of optimizers, of wrapped ones, and of what only looks like one."""

import pytest
import torch

from experiments.reliability.optimizers import Perturbed
from physprune_pl.callbacks.trainer.step_hooks import StepHooks


def weight():
    one = torch.nn.Parameter(torch.ones(2))
    one.grad = torch.ones(2)
    return one


def visited(optimizers):
    seen, hooks = [], StepHooks()
    hooks.enter(optimizers, lambda one: seen.append(("before", one)), lambda one: seen.append(("after", one)))
    return seen, hooks


def test_weights_are_seen_as_they_are_before_and_after_a_step():
    one, values, hooks = weight(), [], StepHooks()
    optimizer = torch.optim.SGD([one], lr=0.5)
    hooks.enter([optimizer], *[lambda _: values.append(one[0].item())] * 2)
    optimizer.step()
    assert values == [1.0, 0.5]


def test_what_a_wrapper_wraps_is_visited_too():
    optimizer = Perturbed([weight()], torch.optim.SGD, lr=0.1)
    seen, hooks = visited([optimizer])
    optimizer.first_step()
    optimizer.second_step()
    assert seen == [("before", optimizer.base), ("after", optimizer.base)]
    assert hooks.knows(optimizer)


def test_nobody_is_visited_twice_or_after_the_end():
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    seen, hooks = visited([optimizer, optimizer])
    hooks.enter([optimizer], lambda one: seen.append("before"), lambda one: seen.append("after"))
    optimizer.step()
    hooks.leave()
    optimizer.step()
    assert seen == ["before", "after"]
    assert not hooks.knows(optimizer)


class Bare(torch.optim.SGD):
    """Never calls the constructor of torch's class, where the hooks are made."""

    def __init__(self, params):
        self.param_groups, self.state = [{"params": list(params), "lr": 0.1}], {}


@pytest.mark.parametrize("make", [Bare, lambda params: type("Other", (), {"param_groups": [{"params": params}]})()])
def test_what_has_no_hooks_is_not_known(make):
    optimizer = make([weight()])
    seen, hooks = visited([optimizer])
    assert not hooks.knows(optimizer)
    assert not seen
