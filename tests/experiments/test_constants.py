"""The experiment on constants: what is folded computes what the uncut network computes, and what its table says."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from experiments.constants.folding import fold
from experiments.constants.run import BEFORE, CUT, STEADINESS, table
from experiments.constants.sentences import unpadded
from physprune_pl import apply_plan
from physprune_pl.planning import plan_removal
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.tracing.tracer import trace


def network(bias: bool) -> nn.Sequential:
    """Convolution, norm, ReLU and a reader with or without a bias; channel 1 of four emits 0.7 always."""
    torch.manual_seed(0)
    reader = [nn.Conv2d(4, 5, 3, bias=bias), *([] if bias else [nn.BatchNorm2d(5)])]
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *reader, nn.Flatten(), nn.Linear(80, 2))
    with torch.no_grad():
        model[1].weight[1], model[1].bias[1] = 0.0, 0.7
    return model.eval()


@pytest.mark.parametrize("bias", [True, False])
def test_a_constant_that_is_folded_is_not_missed(bias: bool) -> None:
    model, pictures = network(bias), torch.randn(6, 1, 8, 8)
    traced = trace(model, pictures)
    removed = [torch.zeros(group.size, dtype=torch.bool) for group in traced.groups]
    removed[0][1] = True
    plan = plan_removal(Chooser(traced, Target("macs", 1.0)), removed)
    plain = apply_plan(copy.deepcopy(model), plan)
    folded = copy.deepcopy(model)
    counts = fold(folded, plan, [pictures], steadiness=0.01)
    apply_plan(folded, plan)
    assert counts == {"removed": 1, "folded": 1}
    assert len(list(folded.parameters())) == len(list(model.parameters()))
    torch.testing.assert_close(folded(pictures), model(pictures))
    assert not torch.allclose(plain(pictures), model(pictures), atol=1e-2)


def test_what_varies_is_folded_only_when_asked_for() -> None:
    model, pictures = network(True), torch.randn(6, 1, 8, 8)
    traced = trace(model, pictures)
    removed = [torch.zeros(group.size, dtype=torch.bool) for group in traced.groups]
    removed[0][2] = True
    plan = plan_removal(Chooser(traced, Target("macs", 1.0)), removed)
    counts = [fold(copy.deepcopy(model), plan, [pictures], steadiness) for steadiness in STEADINESS.values()]
    assert counts == [{"removed": 1, "folded": 0}, {"removed": 1, "folded": 1}]


def test_no_mean_is_taken_of_padding() -> None:
    parts = unpadded(torch.tensor([[4, 5, 6], [7, 0, 0], [8, 9, 3]]))
    assert [part.tolist() for part in parts] == [[[7]], [[4, 5, 6], [8, 9, 3]]]


def result(arm: str, cut: float, folded: float) -> dict:
    accuracies = {BEFORE: 0.9, CUT: cut, **dict.fromkeys(STEADINESS, folded)}
    inputs = {name: {"removed": 4, "folded": 1} for name in STEADINESS}
    return {"arm": arm, "seed": 0, "inputs": inputs, "accuracy": {"val": accuracies, "test": accuracies}}


@pytest.mark.parametrize(("folded", "verdict"), [(0.801, "not kept"), (0.803, "worth keeping")])
def test_the_table_decides_by_the_last_arm(folded: float, verdict: str) -> None:
    lines = table([result("none", 0.1, 0.5), result("exponential", 0.8, folded)]).splitlines()
    assert lines[2] == "| none | 1 | 90.00 | 10.00 | 40.00 | 40.00 | 25.0% | 25.0% |"
    assert lines[-1].endswith(f"{verdict}.")
