"""Groups of parameters that others have added: they come back, and nothing is held twice."""

import pytest
import torch
from small import Classifier
from torch import nn

from physprune_pl.callbacks.trainer.parameter_groups import group_names, named_groups, regroup

A, B, C, D = (nn.Parameter(torch.full((2,), float(number))) for number in range(4))


def sgd(*groups):
    return torch.optim.SGD([{"params": list(group), "lr": 0.1 * (1 + place)} for place, group in enumerate(groups)])


def held(optimizer):
    return [[int(one[0]) for one in group["params"]] for group in optimizer.param_groups]


CASES = {
    "as it is": ([(A, B), (C,)], [(A, B), (C,)], [[0, 1], [2]]),
    "added since": ([(A, B)], [(A, B), (C, D)], [[0, 1], [2, 3]]),
    "all together now": ([(A, B, C, D)], [(A, B), (C, D)], [[0, 1], [2, 3]]),
    "another order": ([(C, D), (A, B)], [(A, B), (C, D)], [[2, 3], [0, 1]]),
    "left out": ([(A,), (C,)], [(A, B), (C,)], [[0, 1], [2]]),
    "thawed since": ([(A, B, C)], [(A, B)], [[0, 1, 2]]),
    "apart now": ([(A,), (B,)], [(A, B)], [[0], [1]]),
}


@pytest.mark.parametrize("name", CASES)
def test_groups_that_somebody_added_are_added_again(name):
    own, wanted, expected = CASES[name]
    optimizer = sgd(*own)
    back = regroup(optimizer, [{"params": list(group), "lr": 7.0} for group in wanted])
    assert held(optimizer) == expected
    assert back == ([B] if name == "left out" else [])
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[: len(own)] == pytest.approx([0.1 * (1 + place) for place in range(len(own))])
    assert rates[len(own) :] == [7.0] * (len(expected) - len(own))


def test_names_of_groups_there_and_back():
    module = Classifier()
    first, *others = module.parameters()
    optimizers = [torch.optim.SGD([{"params": [first]}, {"params": others}], lr=0.1)]
    (names,) = group_names(optimizers, module)
    assert names[0] == ["net.0.weight"]
    groups = named_groups(names, module)
    assert all(one is two for one, two in zip(groups[1]["params"], others, strict=True))


def test_parameters_of_others_have_no_names():
    module = Classifier()
    assert group_names([sgd((A,))], module) == [[]]
    assert named_groups([["net.0.weight", "gone"]], module) == []
