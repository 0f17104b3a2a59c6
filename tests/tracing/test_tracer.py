"""Tracing a model: nothing of it changes, what the user asks to leave is left, and every figure adds up."""

import random
import re

import numpy as np
import pytest
import torch
from torch import nn

from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.tracing.tracer import trace, trace_groups


class Residual(nn.Module):
    """A stem, two residual blocks with dropout and batch norm, and a head that returns its channels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList(self.block(width) for width in (6, 4))
        self.head = nn.Linear(8, 5)

    @staticmethod
    def block(width):
        return nn.Sequential(
            nn.Conv2d(8, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(width, 8, 3, padding=1),
        )

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x.mean((2, 3)))


IMAGE = torch.zeros(2, 3, 6, 6)
BLOCKS = {"blocks.0.0", "blocks.1.0"}


def names(traced):
    return {group.name for group in traced.groups}


def state(model):
    """Everything of a model that a trace could change, as plain values."""
    return {
        "tensors": {name: (id(tensor), tensor.detach().numpy().tobytes()) for name, tensor in stored(model).items()},
        "gradients": {
            name: None if one.grad is None else (id(one.grad), one.grad.numpy().tobytes())
            for name, one in model.named_parameters()
        },
        "trains": {name: one.requires_grad for name, one in model.named_parameters()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "hooks": {name: len(module._forward_hooks) for name, module in model.named_modules()},
        "versions": {name: one._version for name, one in model.named_parameters()},
    }


def stored(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def chance():
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), str(np.random.get_state())


def used():
    """A model in the middle of training, some of it frozen, with modes set by hand."""
    model = Residual()
    model(torch.randn(4, 3, 6, 6)).square().mean().backward()
    model.blocks[0].requires_grad_(False)
    model.blocks[1][1].eval()
    model.stem.eval()
    return model


def test_the_model_and_the_random_generators_are_exactly_as_before():
    model, example = used(), torch.randn(2, 3, 6, 6)
    before, random_before, kept = state(model), chance(), example.clone()
    assert names(trace(model, example)) == {"stem", *BLOCKS}
    after = state(model)
    for kind, values in before.items():
        assert after[kind] == values, kind
    assert chance() == random_before
    assert torch.equal(example, kept)
    assert torch.is_grad_enabled()


def test_a_trace_that_fails_changes_nothing_either():
    model = used()
    before, random_before = state(model), chance()
    for call in (lambda: trace(model, torch.zeros(2, 4, 6, 6)), lambda: trace(model, IMAGE, ["nowhere"])):
        with pytest.raises(ValueError, match=r"example_input|ignore"):
            call()
    assert state(model) == before
    assert chance() == random_before


def test_two_traces_agree():
    model = Residual()
    one, two = trace(model, IMAGE), trace(model, torch.randn(7, 3, 6, 6))
    assert (one.groups, one.left_whole, one.calls) == (two.groups, two.left_whole, two.calls)
    assert trace_groups(model, IMAGE) == list(one.groups)


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ([], {"stem", *BLOCKS}),
        (["blocks.0.0"], {"stem", "blocks.1.0"}),
        (["blocks.0"], {"blocks.1.0"}),  # its last convolution writes to the stream of the stem
        (["blocks"], set()),
        ([r"blocks\.\d\.0"], {"stem"}),
        ([r".*\.0", "stem"], set()),
        (["stem", "blocks.1.0"], {"blocks.0.0"}),
        (["blocks.0.1"], {"stem", "blocks.1.0"}),  # a norm keeps its channels, so the convolution before it does
    ],
)
def test_modules_are_ignored_by_name_and_by_expression(ignore, left):
    traced = trace(Residual(), IMAGE, ignore)
    assert names(traced) == left
    reasons = {one.name: one.reason for one in traced.left_whole}
    gone = {"stem", *BLOCKS} - left
    assert {
        name
        for name, reason in reasons.items()
        if reason == "ignored by the user: its outputs stay, its inputs may shrink"
    } >= gone


def test_a_dot_in_a_name_is_a_dot():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert names(trace(model, torch.zeros(1, 3), ["1"])) == {"0"}


@pytest.mark.parametrize("bad", ["block", "blocks.2", r"stem\d", "conv.*"])
def test_a_pattern_that_matches_nothing_is_named(bad):
    with pytest.raises(ValueError, match=rf"ignore: expected names .* such as .*got {re.escape(repr(bad))}"):
        trace(Residual(), IMAGE, ["stem", bad])


def test_an_example_of_the_wrong_shape_comes_back_with_the_models_own_words():
    with pytest.raises(ValueError, match="example_input: the model does not run on it") as raised:
        trace(Residual(), torch.zeros(2, 4, 6, 6))
    assert str(raised.value.__cause__) in str(raised.value)
    assert "to have 3 channels, but got 4 channels" in str(raised.value)


def test_an_example_of_the_wrong_type_is_a_type_error():
    with pytest.raises(TypeError, match=r"example_input: expected a tensor.*got int"):
        trace(Residual(), 3)


def test_a_model_that_does_not_train_on_this_example_is_noted():
    class Picky(Residual):
        def forward(self, x):
            if self.training:
                raise LookupError("no labels were given")
            return super().forward(x)

    traced = trace(Picky(), IMAGE)
    assert traced.notes == ("train mode could not be traced: LookupError: no labels were given",)
    assert names(traced) == {"stem", *BLOCKS}


def test_a_model_that_takes_one_sample_at_a_time_is_traced_on_one():
    class One(Residual):
        def forward(self, x):
            if len(x) != 1:
                raise ValueError("one sample at a time")
            return super().forward(x)

    assert names(trace(One(), IMAGE[:1])) == {"stem", *BLOCKS}


def test_a_batch_norm_over_one_value_a_channel_needs_no_note():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    traced = trace(model, torch.randn(1, 3))
    assert traced.notes == ()
    assert [(group.name, group.size) for group in traced.groups] == [("0", 4)]


def test_a_compiled_model_is_traced_as_the_original():
    model = Residual()
    compiled = torch.compile(model, backend="eager")
    one, two = trace(compiled, IMAGE), trace(model, IMAGE)
    assert (one.groups, one.left_whole, one.calls, one.shapes) == (two.groups, two.left_whole, two.calls, two.shapes)
    model.blocks[0].compile(backend="eager")
    assert trace(model, IMAGE).groups == two.groups


def test_a_shared_weight_has_one_name_and_two_calls():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4, bias=False)
            self.second.weight = self.first.weight
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.relu(self.first(x)) + torch.relu(self.second(x.flip(0))))

    model = Shared()
    traced = trace(model, torch.randn(2, 3))
    assert "second.weight" not in traced.shapes
    assert [call.weight for call in traced.calls] == ["first.weight", "first.weight", "head.weight"]
    (group,) = traced.groups
    assert {(part.name, part.dim, part.role) for part in group.slices} == {
        ("first.weight", 0, "filter"),
        ("first.bias", 0, "carrier"),
        ("head.weight", 1, "consumer"),
    }
    apply_plan(model, plan_pruning(model, torch.randn(2, 3), {"macs": 0.5}))
    assert model.first.weight is model.second.weight
    assert model(torch.randn(2, 3)).shape == (2, 2)


class Mobile(nn.Module):
    """Grouped, depthwise and transposed convolutions with a squeeze-and-excite gate, and a layer not pruned."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.grouped = nn.Conv2d(24, 32, 3, padding=1, groups=4)
        self.expand = nn.Conv2d(32, 40, 1)
        self.depthwise = nn.Conv2d(40, 40, 3, stride=2, padding=1, groups=40)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(40, 12, 1), nn.ReLU(), nn.Conv2d(12, 40, 1))
        self.up = nn.ConvTranspose2d(40, 20, 2, stride=2)
        self.cell = nn.GRUCell(20, 7)
        self.head = nn.Linear(7, 4)

    def forward(self, x):
        x = self.depthwise(torch.relu(self.expand(torch.relu(self.grouped(self.stem(x))))))
        x = torch.relu(x * torch.sigmoid(self.gate(x)))
        return self.head(self.cell(torch.relu(self.up(x)).mean((2, 3))))


@pytest.fixture(scope="module")
def mobile():
    torch.manual_seed(0)
    return trace(Mobile(), IMAGE)


@pytest.mark.parametrize(("kind", "share"), [("macs", 0.6), ("macs", 0.35), ("params", 0.6)])
def test_the_figures_of_a_plan_are_those_counted_after_the_cut(kind, share):
    model = Mobile()
    dense = count_macs(model, IMAGE), count_parameters(model)
    plan = plan_pruning(model, IMAGE, {kind: share})
    apply_plan(model, plan)
    assert plan.macs == (dense[0], count_macs(model, IMAGE))
    assert plan.params == (dense[1], count_parameters(model))
    assert model.depthwise.groups == model.depthwise.in_channels == model.expand.out_channels
    assert model(torch.randn(2, 3, 6, 6)).shape == (2, 4)


def test_calls_and_the_rest_add_up_to_what_is_counted(mobile):
    sizes = {name: int(np.prod(shape)) for name, shape in mobile.shapes.items()}
    assert mobile.fixed_macs + sum(call.positions * sizes[call.weight] for call in mobile.calls) == count_macs(
        Mobile(), IMAGE
    )
    assert mobile.fixed_macs >= 0
    assert mobile.seconds > 0


def test_every_tensor_has_its_shape_and_every_used_parameter_is_named(mobile):
    model = Mobile()
    assert mobile.shapes == {name: tuple(tensor.shape) for name, tensor in stored(model).items()}
    assert mobile.buffers == {name for name, _ in model.named_buffers()}
    assert mobile.parameters == {name for name, _ in model.named_parameters()}


def test_every_producer_in_no_group_has_a_reason(mobile):
    produced = {part.name.rpartition(".")[0] for group in mobile.groups for part in group.slices}
    reasons = {one.name: one.reason for one in mobile.left_whole}
    assert {call.weight.rpartition(".")[0] for call in mobile.calls} | {"cell"} <= produced | set(reasons)
    assert set(reasons) == {"cell", "head", "up"}
    assert reasons["head"] == "the model returns its channels"
    assert re.fullmatch(r"it runs \w+ at tracing/\w+\.py:\d+, `.*self\.cell.*`: tracing cannot .*", reasons["cell"])
    assert reasons["up"].startswith("read by cell, which runs ")
    assert {"stem.0", "expand", "gate.1"} <= names(mobile)
