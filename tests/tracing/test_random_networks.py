"""Networks and plans drawn at random: what is cut computes what the masked network computes, and costs what is planned.

The oracle is that of experiments/structures, which knows nothing of the tracer.
"""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from random_networks import Description, Network, descriptions
from random_plans import Wish, wishes
from torch import nn

from experiments.structures.accounts import malformed, unaccounted
from experiments.structures.oracle import errors
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tracing.tracer import trace

# Examples are the same in every run; one network takes the tracer about half a second.
REPEATABLE = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
LIMIT = 1e-9


def check(description: Description, wish: Wish) -> None:
    torch.manual_seed(0)
    model, example = Network(description), description.example()
    ignored = wish.ignore(model)
    traced = trace(model, example, ignored)
    assert malformed(traced) == []
    assert unaccounted(traced) == []
    made = wish.plan(traced)
    if made is None:
        return
    plan, removed = made
    assert PruningPlan.from_json(plan.to_json()) == plan
    assert shrunk(model, ignored, plan) == []
    found = errors(model, traced, example, removed, torch.float64)
    assert {mode: error for mode, error in found.items() if not error <= LIMIT} == {}
    dense = count_macs(model, example), count_parameters(model)
    pruned = apply_plan(copy.deepcopy(model), PruningPlan.from_json(plan.to_json()))
    assert (plan.macs[0], plan.params[0]) == dense
    assert (plan.macs[1], plan.params[1]) == (count_macs(pruned, example), count_parameters(pruned))


def shrunk(model: nn.Module, ignored: tuple[str, ...], plan: PruningPlan) -> list[str]:
    """Name the tensors of ignored modules that lose more than inputs."""
    modules = dict(model.named_modules())
    found = []
    for name, cut in plan.tensors.items():
        module = modules[name.rpartition(".")[0]]
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        reads = not transposed if isinstance(module, nn.Linear | nn.MultiheadAttention | nn.modules.conv._ConvNd) else 2
        inside = any(name.startswith(f"{top}.") for top in ignored)
        found += [name] if inside and set(cut.keep) - {int(reads)} else []
    return found


@settings(max_examples=100, derandomize=True, **REPEATABLE)
@given(descriptions, wishes)
def test_a_random_plan_for_a_random_network_is_right(description, wish):
    check(description, wish)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(8))
def test_many_random_plans_for_random_networks_are_right(number):
    seed(number)(settings(max_examples=250, **REPEATABLE)(given(descriptions, wishes)(check)))()
