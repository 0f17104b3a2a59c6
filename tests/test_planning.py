"""From model and target to a plan: the plan's figures are those of the model that it leaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.strengths import L1
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.targets.target import TargetError


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.inner = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.outer = nn.Conv2d(24, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = x + self.outer(self.norm(self.inner(x)).relu())
        return self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


IMAGE = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize("kind", ["macs", "params"])
@pytest.mark.parametrize(("share", "round_to"), [(0.7, None), (0.4, None), (0.42, 4)])
def test_the_plan_tells_the_costs_of_the_cut_model(kind, share, round_to):
    model = Residual()
    dense = {"macs": count_macs(model, IMAGE), "params": count_parameters(model)}
    plan = plan_pruning(model, IMAGE, {kind: share}, round_to=round_to)
    apply_plan(model, plan)
    pruned = {"macs": count_macs(model, IMAGE), "params": count_parameters(model)}
    assert plan.macs == (dense["macs"], pruned["macs"])
    assert plan.params == (dense["params"], pruned["params"])
    assert pruned[kind] / dense[kind] == pytest.approx(share, rel=0.02)
    assert all(cut.after % (round_to or 1) == 0 for cut in plan.groups)


def chain(strong: Tensor, weak: Tensor) -> nn.Sequential:
    """Four channels whose weights are written by hand: rows of the first layer, columns of the second are ones."""
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.stack([strong, weak, strong, weak]))
        model[2].weight.fill_(1.0)
    return model


def test_the_weakest_channels_go():
    model = chain(strong=torch.tensor([3.0, 3.0]), weak=torch.tensor([0.1, 0.1]))
    plan = plan_pruning(model, torch.zeros(1, 2), {"macs": 0.5})
    assert plan.groups[0].removed == (1, 3)


def test_the_strength_decides_who_is_weak():
    # (2, 2): L2 = sqrt(8 + 1), L1 = 5;  (3, 0): L2 = sqrt(9 + 1), L1 = 4
    model = chain(strong=torch.tensor([3.0, 0.0]), weak=torch.tensor([2.0, 2.0]))
    assert plan_pruning(model, torch.zeros(1, 2), {"macs": 0.5}).groups[0].removed == (1, 3)
    assert plan_pruning(model, torch.zeros(1, 2), {"macs": 0.5}, strength=L1()).groups[0].removed == (0, 2)
    assert plan_pruning(model, torch.zeros(1, 2), {"macs": 0.5}, strength="l1").groups[0].removed == (0, 2)


def test_a_threshold_is_a_share_of_the_strongest():
    # strengths sqrt(18 + 1) and sqrt(0.02 + 1): a share of 0.23
    model = chain(strong=torch.tensor([3.0, 3.0]), weak=torch.tensor([0.1, 0.1]))
    assert plan_pruning(model, torch.zeros(1, 2), {"threshold": 0.25}).groups[0].removed == (1, 3)
    assert plan_pruning(model, torch.zeros(1, 2), {"threshold": 0.2}).groups[0].removed == ()


def test_ignored_modules_stay_whole():
    plan = plan_pruning(Residual(), IMAGE, {"macs": 0.625}, ignore=["inner"])
    assert {cut.name for cut in plan.groups} == {"stem"}
    assert "inner" in {left.name for left in plan.left_whole}


def test_ignored_modules_keep_their_outputs_and_may_lose_inputs():
    model = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    plan = plan_pruning(model, torch.zeros(1, 3), {"macs": 0.7}, ignore=["2"])
    apply_plan(model, plan)
    assert model[2].out_features == 32
    assert model[2].in_features < 32
    reason = next(left.reason for left in plan.left_whole if left.name == "2")
    assert reason == "ignored by the user: its outputs stay, its inputs may shrink"


def test_frozen_and_tied_parameters_stay_so_after_a_cut():
    model = nn.Sequential(
        nn.Linear(3, 32), nn.ReLU(), *(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)), nn.Linear(32, 2)
    )
    model[4].weight = model[2].weight
    model[0].requires_grad_(False)
    apply_plan(model, plan_pruning(model, torch.zeros(1, 3), {"macs": 0.53}))
    assert model[4].weight is model[2].weight
    assert [part.requires_grad for part in model.parameters()] == [False] * 2 + [True] * 5
    assert model[2].weight.shape[0] == model[0].weight.shape[0] < 32


def grouped_chain() -> nn.Module:
    torch.manual_seed(0)
    convs = nn.Conv2d(3, 24, 3), nn.Conv2d(24, 24, 3, groups=6), nn.Conv2d(24, 24, 1), nn.Conv2d(24, 24, 1, groups=24)
    return nn.Sequential(*convs, nn.Conv2d(24, 20, 1), nn.Conv2d(20, 4, 1))


@pytest.mark.parametrize("round_to", [2, 4])
def test_rounded_widths_keep_conv_groups_whole(round_to):
    model, example = grouped_chain(), torch.randn(1, 3, 8, 8)
    plan = plan_pruning(model, example, {"macs": 0.5}, round_to=round_to)
    apply_plan(model, plan)
    assert plan.macs[1] / plan.macs[0] == pytest.approx(0.5, rel=0.02)
    assert all(cut.after % round_to == 0 or cut.after == cut.before for cut in plan.groups)
    kept = model[1].out_channels
    assert (model[1].in_channels, model[1].groups * 4, model[0].out_channels) == (kept,) * 3
    assert model[3].groups == model[3].in_channels == model[2].out_channels
    assert model(example).shape == (1, 4, 4, 4)


def test_a_target_out_of_reach_of_rounded_widths_names_the_closest():
    model, example = grouped_chain(), torch.randn(1, 3, 8, 8)
    with pytest.raises(TargetError, match=r"\(groups: \d+, round_to=16\)") as caught:
        plan_pruning(model, example, {"macs": 0.3}, round_to=16)
    assert f"closest reachable share is {caught.value.closest:.4g}" in str(caught.value)
    assert caught.value.closest > 0.3 * 1.02
    nearest = plan_pruning(model, example, {"macs": caught.value.closest}, round_to=16)
    assert nearest.macs[1] / nearest.macs[0] == pytest.approx(caught.value.closest, rel=0.02)


def test_the_plan_of_a_compiled_model_is_that_of_the_original():
    model = Residual()
    compiled = torch.compile(model, backend="eager")
    assert plan_pruning(compiled, IMAGE, {"macs": 0.5}) == plan_pruning(model, IMAGE, {"macs": 0.5})


def test_planning_changes_nothing():
    model = Residual()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    plan_pruning(model, IMAGE, {"macs": 0.5})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def test_an_unreachable_target_is_refused():
    with pytest.raises(TargetError, match=r"closest reachable share is 0\.\d+ \(groups: \d+\)$"):
        plan_pruning(Residual(), IMAGE, {"macs": 1e-4})


def test_arguments_are_checked_before_the_trace():
    with pytest.raises(ValueError, match="exactly one of"):
        plan_pruning(Residual(), None, {})
    with pytest.raises(ValueError, match="l3"):
        plan_pruning(Residual(), None, {"macs": 0.5}, strength="l3")


def test_a_network_in_which_nothing_can_go_is_told_why():
    with pytest.raises(TargetError, match=r"groups: 0\)\n- not pruned: 0: the model returns its channels. What to do"):
        plan_pruning(nn.Sequential(nn.Linear(4, 3)), torch.zeros(1, 4), {"macs": 0.5})
