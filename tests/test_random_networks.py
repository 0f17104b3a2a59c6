"""Networks and cuts drawn at random: what is cut computes what the masked network computes, and costs what is planned.

The oracle is that of experiments/structures, which knows nothing of the tracer.
"""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import COLOURS, SIDE, Description, Network, descriptions

from experiments.structures.accounts import malformed, unaccounted
from experiments.structures.oracle import draw_removed, errors
from physprune_pl.groups import trace
from physprune_pl.measure import count_macs, count_parameters
from physprune_pl.plan import PruningPlan
from physprune_pl.planning import plan_removal
from physprune_pl.surgery import apply_plan
from physprune_pl.targets import Chooser, Target

# Examples are the same in every run; one network takes the tracer about half a second.
REPEATABLE = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
LIMIT = 1e-9
shares = st.sampled_from((0.25, 0.5, 0.75))
seeds = st.integers(0, 9)


def check(description: Description, share: float, seed: int) -> None:
    torch.manual_seed(0)
    model, example = Network(description), torch.randn(4, COLOURS, SIDE, SIDE)
    traced = trace(model, example)
    assert malformed(traced) == []
    assert unaccounted(traced) == []
    removed = draw_removed(traced, share, seed)
    plan = plan_removal(Chooser(traced, Target("macs", 1.0)), removed)
    assert PruningPlan.from_json(plan.to_json()) == plan
    found = errors(model, traced, example, removed, torch.float64)
    assert {mode: error for mode, error in found.items() if not error <= LIMIT} == {}
    dense = count_macs(model, example), count_parameters(model)
    pruned = apply_plan(copy.deepcopy(model), PruningPlan.from_json(plan.to_json()))
    assert (plan.macs[0], plan.params[0]) == dense
    assert (plan.macs[1], plan.params[1]) == (count_macs(pruned, example), count_parameters(pruned))


@settings(max_examples=30, **REPEATABLE)
@given(descriptions, shares, seeds)
def test_a_random_cut_of_a_random_network_is_right(description, share, seed):
    check(description, share, seed)


@pytest.mark.slow
@settings(max_examples=400, **REPEATABLE)
@given(descriptions, shares, seeds)
def test_many_random_cuts_of_random_networks_are_right(description, share, seed):
    check(description, share, seed)
