"""Optimizers whose parameters are cut: moments follow, training goes on, and a bad plan changes nothing."""

import copy
from dataclasses import replace

import pytest
import torch
from hand_networks import conv_bn_conv, masked, plan_for
from torch import nn

from physprune_pl.networks.names import tensors_by_every_name
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan, TensorCut

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True, foreach=False),
    "adamw_foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "adamw_fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
}


def step(model: nn.Module, optimizer: torch.optim.Optimizer, example: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss = model(example).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_are_cut_and_training_goes_on(name):
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS[name](model.parameters())
    step(model, optimizer, example)
    held = list(model.parameters())
    plan = plan_for(model, group)
    before = copy.deepcopy(optimizer.state_dict()["state"])
    apply_plan(model, plan, [optimizer])
    assert all(
        parameter is old and parameter.grad is None for parameter, old in zip(model.parameters(), held, strict=True)
    )
    kept = torch.tensor(plan.tensors["3.weight"].keep[1])
    place = [name for name, _ in model.named_parameters()].index("3.weight")
    for key, value in optimizer.state[model[3].weight].items():
        old = before[place][key]
        same = old.dim() == 4 and old.shape[1] == 6
        torch.testing.assert_close(value, old.index_select(1, kept) if same else old)
    losses = [step(model, optimizer, example) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_a_single_optimizer_needs_no_list():
    model, group, example = conv_bn_conv()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    step(model, optimizer, example)
    apply_plan(model, plan_for(model, group), optimizers=optimizer)
    assert all(parameter.shape == state["exp_avg"].shape for parameter, state in optimizer.state.items())
    step(model, optimizer, example)


@pytest.mark.parametrize("wrong", [None, "adam", [None], {"adam": 1}])
def test_what_is_no_optimizer_is_refused_before_anything_changes(wrong):
    model, group, _ = conv_bn_conv()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(TypeError, match=r"optimizers: expected an optimizer or several, got (NoneType|str)"):
        apply_plan(model, plan_for(model, group), optimizers=wrong)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_sliced_moments_train_like_a_masked_network():
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    plan = plan_for(model, group)
    with torch.no_grad():
        for name, tensor in tensors_by_every_name(masked(model, plan)).items():
            tensors_by_every_name(model)[name].copy_(tensor)
    step(model.eval(), optimizer, example)
    twin = copy.deepcopy(model)
    twin_optimizer = OPTIMIZERS["sgd"](twin.parameters())
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    apply_plan(model, plan, [optimizer])
    losses = [(step(model, optimizer, example), step(twin, twin_optimizer, example)) for _ in range(3)]
    torch.testing.assert_close(*torch.tensor(losses).unbind(1))


def test_a_state_of_another_shape_is_dropped():
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, example)
    optimizer.state[model[0].weight]["factors"] = torch.zeros(17)
    with pytest.warns(UserWarning, match="SGD keeps with 1 of the parameters"):
        apply_plan(model, plan_for(model, group), [optimizer])
    assert model[0].weight not in optimizer.state
    step(model, optimizer, example)


def bad_plans() -> dict[str, tuple[PruningPlan, str]]:
    model, group, _ = conv_bn_conv()
    plan = plan_for(model, group)
    cut = plan.tensors["0.weight"]
    other = {
        "unknown name": ({"5.weight": cut}, "no parameter"),
        "shape": ({"0.bias": TensorCut((9,), {0: (0, 1)})}, "was planned with shape"),
    }
    return {
        name: (replace(plan, tensors={**plan.tensors, **extra}), message) for name, (extra, message) in other.items()
    }


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    moments = [value for state in optimizer.state.values() for value in state.values()]
    return [tensor.clone() for tensor in (*tensors_by_every_name(model).values(), *moments)]


@pytest.mark.parametrize("name", ["unknown name", "shape"])
def test_a_bad_plan_changes_nothing(name):
    model, _, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, example)
    before = snapshot(model, optimizer)
    plan, message = bad_plans()[name]
    with pytest.raises(ValueError, match=message):
        apply_plan(model, plan, [optimizer])
    assert all(torch.equal(old, new) for old, new in zip(before, snapshot(model, optimizer), strict=True))
    assert model[0].out_channels == 6
    assert model[0].weight.grad is not None
