"""Plans in turn are one plan: it does not matter how they are put together, nor whether before or after the cuts."""

import copy
from dataclasses import replace

import pytest
import torch
from hand_networks import NETWORKS, plan_for, trace_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import Network, descriptions
from torch import nn

from experiments.structures.oracle import draw_removed
from physprune_pl import plan_pruning
from physprune_pl.networks.names import tensors_by_every_name
from physprune_pl.planning import plan_removal
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.cuts import GroupCut, TensorCut
from physprune_pl.surgery.last_groups import grouped_layers, left_with_one
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.surgery.regroup import follow_groups, gone_channels, kept_channels, shrink_trace
from physprune_pl.surgery.regrow import dense_twin, regrow
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.tracing.tracer import trace

REPEATABLE = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


def network(description):
    """A network, an example for it and its trace."""
    torch.manual_seed(0)
    model, example = Network(description), description.example()
    return model, example, trace(model, example)


def plan_of(traced, removed):
    return plan_removal(Chooser(traced, Target("macs", 1.0)), removed)


def drawn(traced, seed):
    """Three plans in turn, each for what the one before leaves, and the channels that are gone after each."""
    dense, plans, gone = traced, [], []
    for number, share in enumerate((0.25, 0.3, 0.4)):
        before = gone[-1] if gone else [torch.zeros(group.size, dtype=torch.bool) for group in dense.groups]
        now = draw_removed(traced, share, seed + number)
        plans.append(plan_of(traced, now))
        gone.append([whole(old, new) for old, new in zip(before, now, strict=True)])
        traced = shrink_trace(traced, plans[-1])
    return plans, gone, traced


def whole(before, now):
    """Channels of the dense network that are gone, given those gone before and, of the others, those gone now."""
    found = before.clone()
    found[~before] = now
    return found


def contents(model):
    """Every tensor, and every number that modules remember."""
    numbers = {
        (name, key): value
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, (int, tuple)) and not key.startswith("_")
    }
    return tensors_by_every_name(model), numbers


def assert_same(one, two):
    (tensors, numbers), (others, other_numbers) = contents(one), contents(two)
    assert numbers == other_numbers
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


@settings(max_examples=40, derandomize=True, **REPEATABLE)
@given(descriptions, st.integers(0, 9))
def test_plans_in_turn_are_one_plan(description, seed):
    model, _, dense = network(description)
    (one, two, three), gone, left = drawn(dense, seed)
    both = one.then(two)
    assert both == plan_of(dense, gone[1])
    assert both.then(three) == one.then(two.then(three)) == plan_of(dense, gone[2])
    nothing = [torch.zeros(group.size, dtype=torch.bool) for group in dense.groups]
    assert plan_of(dense, nothing).then(one) == one
    assert both.then(three).then(plan_of(left, [torch.zeros(one.size, dtype=torch.bool) for one in left.groups])) == (
        both.then(three)
    )
    in_turn = copy.deepcopy(model)
    for plan in (one, two, three):
        apply_plan(in_turn, plan)
    at_once = apply_plan(model, PruningPlan.from_json(both.then(three).to_json()))
    assert_same(in_turn, at_once)


@settings(max_examples=15, derandomize=True, **REPEATABLE)
@given(descriptions, st.integers(0, 9))
def test_the_trace_follows_a_plan(description, seed):
    model, example, dense = network(description)
    plan = plan_of(dense, draw_removed(dense, 0.5, seed))
    followed, found = shrink_trace(dense, plan), trace(apply_plan(model, plan), example)
    assert followed.shapes == found.shapes
    chooser = Chooser(followed, Target("macs", 1.0))
    assert (chooser.cost_model.dense.macs, chooser.cost_model.dense.params) == (plan.macs[1], plan.params[1])
    known, anew = ({one.name: one for one in traced.sizes} for traced in (followed, found))
    assert {name: known[name].value for name in anew} == {name: one.value for name, one in anew.items()}
    # A new trace does not list the numbers of a group that has nothing left to lose, such as the only head.
    single = {part.name.rpartition(".")[0] for group in followed.groups if group.size == 1 for part in group.slices}
    assert all(layer in single for name in known.keys() - anew for each in known[name].slots for layer, _ in each)


@settings(max_examples=15, derandomize=True, **REPEATABLE)
@given(descriptions, st.integers(0, 9))
def test_a_network_that_has_grown_again_has_its_trace_of_before(description, seed):
    model, example, dense = network(description)
    removed = draw_removed(dense, 0.5, seed)
    plan, before = plan_of(dense, removed), copy.deepcopy(model)
    cut = apply_plan(model, plan)
    # As a fit does it.
    plan = replace(plan, sizes={**plan.sizes, **left_with_one(grouped_layers(before), cut)})
    assert_same(apply_plan(copy.deepcopy(before), plan), cut)
    grown = dense_twin(cut, plan)
    assert contents(grown)[1] == contents(before)[1]
    again = trace(grown, example)
    assert (again.groups, again.shapes, again.calls) == (dense.groups, dense.shapes, dense.calls)
    assert_same(apply_plan(grown, plan), cut)
    for group, gone in zip(follow_groups(dense.groups, plan), gone_channels(dense.groups, plan), strict=True):
        owners = {channel for part in group.slices for channel in part.channel}
        assert group.size == len(gone)
        assert owners.isdisjoint(gone.nonzero().flatten().tolist())
    assert all(torch.equal(one, other) for one, other in zip(gone_channels(dense.groups, plan), removed, strict=True))


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_moments_of_cuts_in_turn_are_those_of_one_cut(build, optimizer):
    model, group, example = build()
    settings = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    models, optimizers = [model, copy.deepcopy(model)], []
    for one in models:
        optimizers.append(optimizer(one.parameters(), lr=0.01, **settings))
        one(example).sum().backward()
        optimizers[-1].step()
    one = plan_for(model, group, gone=(1,))
    left = shrink_trace(trace_of(model, group), one)
    two = plan_of(replace(left, fixed_macs=1), [torch.arange(group.size - 1) == 2])
    one = replace(one, macs=(2, two.macs[0]), params=(2 + two.params[0], two.params[0]))
    apply_plan(apply_plan(models[0], one, optimizers[0]), two, optimizers[0])
    apply_plan(models[1], one.then(two), optimizers[1])
    assert one.then(two).groups[0].removed == (1, 3)
    assert_same(*models)
    for mine, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        states = optimizers[0].state[mine], optimizers[1].state[other]
        assert states[0].keys() == states[1].keys()
        assert all(
            torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][key])) for key, value in states[0].items()
        )


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        (TensorCut((4,), {0: (0, 1)}), TensorCut((4,), {0: (0,)}), r"shape \(2,\)"),
        (GroupCut("a", 3, 2, True, (0,)), GroupCut("a", 3, 2, True, (0,)), "2 channels of 'a', got one of 3"),
        (
            GroupCut("a", 3, 2, True, (0,)),
            GroupCut("b", 2, 1, True, (0,)),
            "channels of 'a', got one of 2 channels of 'b'",
        ),
    ],
)
def test_cuts_for_something_else_are_refused(one, two, message):
    with pytest.raises(ValueError, match=message):
        one.then(two)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def test_a_plan_for_another_network_is_refused():
    plan = plan_pruning(small(), torch.zeros(1, 4), {"macs": 0.5})
    with pytest.raises(ValueError, match="24 macs, got one for 48"):
        plan.then(plan)


def test_a_network_of_other_shapes_does_not_grow():
    plan = plan_pruning(small(), torch.zeros(1, 4), {"macs": 0.5})
    with pytest.raises(ValueError, match=r"it leaves '0.* with shape"):
        regrow(small(), plan)


def test_shares_of_latency_stay_where_one_plan_removes_nothing():
    model, images = small(), torch.zeros(1, 4)
    nothing = plan_pruning(model, images, {"macs": 1.0})
    one = replace(plan_pruning(model, images, {"macs": 0.5}), latency={"asked": 0.5})
    two = replace(plan_pruning(apply_plan(small(), one), images, {"macs": 0.5}), latency={"asked": 0.5})
    assert nothing.then(one) == one
    assert one.then(two).latency == {}
    assert kept_channels(one.then(two))["0"] == one.then(two).groups[0].kept
