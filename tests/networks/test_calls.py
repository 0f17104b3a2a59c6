"""Calls of parts that were noted are made again, on any copy of the network and with any number of samples."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.calls import Call, Calls
from physprune_pl.networks.example import Example
from physprune_pl.networks.measure import count_macs


def network():
    return nn.ModuleDict({"one": nn.Linear(4, 3), "two": nn.Linear(4, 2)})


X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["__call__", "forward"])
def test_calls_are_made_in_order(method):
    net = network()
    one, two = Calls((Call("one", method, (X,)), Call("two", method, (), {"input": X}))).run(net)
    assert torch.equal(one, net["one"](X))
    assert torch.equal(two, net["two"](X))


def test_hooks_run_for_calls_and_not_for_forward():
    net, seen = network(), []
    net["one"].register_forward_hook(lambda *_: seen.append(1))
    Calls((Call("one", "__call__", (X,)), Call("one", "forward", (X,)))).run(net)
    assert seen == [1]


def test_every_call_gets_as_many_samples_as_asked_for():
    calls = Calls((Call("one", "__call__", (X,)), Call("one", "__call__", (X[:2],))))
    assert [len(output) for output in calls.sized(3).run(network())] == [3, 3]
    assert [len(output) for output in Calls(calls.args, whole=True).sized(3).run(network())] == [6, 2]


def test_costs_are_those_of_all_calls():
    calls = Calls((Call("one", "__call__", (X,)), Call("two", "__call__", (X,)), Call("two", "__call__", (X,))))
    assert count_macs(network(), calls) == 4 * 3 + 2 * 4 * 2


class Clamped(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        with torch.no_grad():
            self.layer.weight.mul_(0.5)
        return self.layer(x)


def test_what_a_call_writes_to_is_put_back():
    net = Clamped()
    before = net.layer.weight.clone()
    Calls((Call("", "__call__", (X,)),), written=frozenset({"layer.weight"})).run(net)
    assert torch.equal(net.layer.weight, before)


def test_an_example_knows_whether_its_tensors_have_one_number_of_samples():
    assert Example((X, {"y": X[:, 0], "scale": torch.tensor(2.0)})).alike
    assert not Example((X, torch.zeros(2, 5))).alike
