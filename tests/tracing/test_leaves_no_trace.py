"""Tracing, planning and a refused plan leave a model as it was, and find the same whether or not it has run before."""

import random
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from experiments.structures.snapshot import Snapshot
from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.networks.measure import count_macs
from physprune_pl.targets import TargetError
from physprune_pl.tracing.tracer import trace


class Plain(nn.Module):
    """Base of networks that do something on the side."""

    share = 0.5  # of the multiply-adds, with half of the channels

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)
        self.prepare()

    def prepare(self):
        pass

    def remember(self, hidden):
        pass

    def forward(self, x):
        hidden = torch.relu(self.one(x))
        self.remember(hidden)
        return self.two(hidden)


class LazyHook(Plain):
    """puts a hook in at its first run and remembers that"""

    def prepare(self):
        self.seen, self.ready = [], False

    def forward(self, x):
        if not self.ready:
            self.one.register_forward_hook(lambda module, inputs, output: self.seen.append(output))
            self.one.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
            self.ready = True
        self.seen = []
        hidden = torch.relu(self.one(x))
        return self.two(hidden + self.seen[-1])


class OuterList(Plain):
    """a hook keeps features in a list that it found where it was written, and counts there"""

    def prepare(self):
        seen, count = [], 0

        def hook(module, inputs, output):
            nonlocal count
            count += 1
            seen.append(output.detach())

        self.one.register_forward_hook(hook)


class Tables(Plain):
    """keeps tables for eval mode in a dict of dicts; ``train()`` forgets them"""

    def prepare(self):
        self.scale, self.kept = nn.Parameter(torch.rand(6) + 1), {"rows": {}}

    def train(self, mode=True):
        super().train(mode)
        if mode:
            self.kept = {"rows": {}}
        return self

    def forward(self, x):
        rows = {} if self.training else self.kept["rows"]
        if 0 not in rows:
            rows[0] = self.scale * 2
        return self.two(torch.relu(self.one(x)) * rows[0])


@dataclass
class Memory:
    calls: int = 0
    features: list = field(default_factory=list)


class Own:
    total = 0
    table: ClassVar = {}

    def __init__(self):
        self.history = []


class Containers(Plain):
    """fills containers in containers, objects, a class, arrays"""

    counter = 0
    shared: ClassVar = {"runs": []}

    def prepare(self):
        self.deep = ([deque([{"x": set()}])], OrderedDict(a=[0]))
        self.memory, self.space, self.own = Memory(), SimpleNamespace(last=None), Own()
        self.array = np.zeros(2)

    def remember(self, hidden):
        self.deep[0][0][0]["x"].add(len(self.memory.features))
        self.deep[0].append(hidden)
        self.deep[1]["a"].append(1)
        self.deep[1]["b"] = 2
        self.memory.calls += 1
        self.memory.features.append(hidden)
        self.space.last, self.space.more = hidden, 1
        self.own.history.append(hidden)
        Own.total += 1
        Own.table["last"] = hidden
        type(self).counter += 1
        type(self).fresh = True
        self.shared["runs"].append(1)
        self.array += 1


class Members(Plain):
    """makes a buffer, a layer without parameters and an attribute at its first run; switches modes and flags"""

    def prepare(self):
        self.drop = nn.Dropout(0.5)

    def remember(self, hidden):
        if not hasattr(self, "activation"):
            self.activation = nn.Tanh()
            self.register_buffer("mean", torch.zeros_like(hidden[0]))
        self.mean += self.activation(hidden).mean(0)
        self.drop.eval()
        self.two.bias.requires_grad_(False)


class Layer(Plain):
    """makes a layer with parameters at its first run"""

    share = 0.61

    def forward(self, x):
        if not hasattr(self, "side"):
            self.side = nn.Linear(4, 3)
        return super().forward(x) + self.side(x)


class Values(Plain):
    """changes its weights, gives them gradients, and draws from generators of its own"""

    def prepare(self):
        self.generators = [torch.Generator().manual_seed(3), random.Random(4), np.random.default_rng(5)]

    def forward(self, x):
        self.one.weight.data.clamp_(-0.1, 0.1)
        self.two.weight.grad = torch.ones_like(self.two.weight)
        if self.one.weight.grad is not None:
            self.one.weight.grad.add_(1.0)
        torch_one, python_one, numpy_one = self.generators
        noise = torch.rand((), generator=torch_one) + python_one.random() + numpy_one.random()
        return super().forward(x) + 0 * noise


class OwnForward(Plain):
    """its forward was replaced by a function that knows the network by its own name"""

    def prepare(self):
        self.calls = 0
        own = self.two.forward

        def counted(x):
            self.calls += 1
            return own(x)

        self.two.forward = counted


NETWORKS = [LazyHook, OuterList, Tables, Containers, Members, Layer, Values, OwnForward]


def run(model, mode):
    with torch.set_grad_enabled(mode != "without gradients"):
        model(torch.ones(2, 4))


@pytest.mark.parametrize("before", ["never run", "run", "without gradients"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_whatever_a_forward_does_a_trace_and_a_plan_leave_the_model_as_it_was(kind, before):
    model, example = kind().eval(), torch.randn(4, 4)
    model.one.weight.grad = torch.zeros_like(model.one.weight)
    if before != "never run":
        run(model, before)
    found = Snapshot(model, example)
    assert [(group.name, group.size) for group in trace_groups(model, example)] == [("one", 6)]
    assert found.changes(model, example) == []
    assert plan_pruning(model, example, {"macs": model.share}).groups[0].after == 3
    assert found.changes(model, example) == []
    with pytest.raises(TargetError):
        plan_pruning(model, example, {"macs": 0.01})
    assert found.changes(model, example) == []
    count_macs(model, example)
    assert found.changes(model, example) == []


def test_a_refused_example_leaves_the_model_as_it_was():
    model, example = Containers().train(), torch.randn(4, 5)
    found = Snapshot(model, example)
    with pytest.raises(ValueError, match="example_input"):
        trace(model, example)
    assert found.changes(model, example) == []


def test_a_snapshot_sees_what_changes():
    model, example = Containers(), torch.randn(4, 4)
    found = Snapshot(model, example)
    assert found.changes(model, example) == []
    model(example)
    model.one.weight.data[0, 0] += 1
    model.two.training = False
    changes = "\n".join(found.changes(model, example))
    for part in (".memory", ".deep", ".space", "'one'", "training", "the output"):
        assert part in changes


def test_a_lazy_layer_takes_its_shape_for_good():
    model = nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 2))
    assert [(group.name, group.size) for group in trace_groups(model, torch.randn(2, 3))] == [("0", 6)]
    assert model[0].weight.shape == (6, 3)
    assert model(torch.randn(2, 3)).shape == (2, 2)


def test_tables_that_eval_mode_keeps_are_made_again_after_a_cut():
    model, example = Tables().eval(), torch.randn(4, 4)
    model(example)
    plan = plan_pruning(model, example, {"macs": 0.5})
    apply_plan(model, plan)
    assert model(example).shape == (4, 3)
    assert not model.training
