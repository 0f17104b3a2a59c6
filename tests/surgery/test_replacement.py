"""Data of another shape for parameters that old graphs, hooks, optimizers and compiled code go on using."""

import copy

import pytest
import torch
from hand_networks import conv_bn_conv, plan_for
from torch import nn
from torch.utils.checkpoint import checkpoint

from physprune_pl.surgery.apply import adopt_shapes, apply_plan
from physprune_pl.surgery.replacement import hooked_nodes, replace_data


def loss_of(model, example):
    return model(example).square().mean()


def reentrant(model, example):
    return checkpoint(model, example.requires_grad_(), use_reentrant=True).square().mean()


def recomputed(model, example):
    return checkpoint(model, example, use_reentrant=False).square().mean()


def under_autocast(model, example):
    with torch.autocast("cpu", torch.bfloat16):
        return loss_of(model, example)


WAYS = {"plainly": loss_of, "checkpoint": recomputed, "reentrant": reentrant, "autocast": under_autocast}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "adamw, one by one": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=False),
    "adamw, foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "adamw, fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
}


def step(model, optimizer, loss):
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_while_losses_of_before_are_held(way, optimizer):
    model, group, example = conv_bn_conv()
    make = OPTIMIZERS[optimizer]
    optimizer = make(model.parameters())
    held = [WAYS[way](model, example) for _ in range(2)]
    step(model, optimizer, held[0])
    other = copy.deepcopy(model)
    state = copy.deepcopy(optimizer.state_dict())
    apply_plan(model, plan_for(model, group), [optimizer])
    step(model, optimizer, WAYS[way](model, example))
    # The same without anybody who holds a loss.
    alone = make(other.parameters())
    alone.load_state_dict(state)
    apply_plan(other, plan_for(other, group), [alone])
    step(other, alone, WAYS[way](other, example))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def snapshot(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("kept", ["fresh", "retained"])
def test_a_loss_of_before_raises_and_writes_nothing(kept):
    model, group, example = conv_bn_conv()
    loss = loss_of(model, example)
    if kept == "retained":
        loss.backward(retain_graph=True)
    apply_plan(model, plan_for(model, group))
    before = snapshot(model)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation|computed before the network was cut"):
        loss.backward()
    assert all(parameter.grad is None or parameter.grad.shape == parameter.shape for parameter in model.parameters())
    assert all(torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True))


def test_the_gradient_of_a_bias_which_no_operation_saves_is_refused_too():
    bias = nn.Parameter(torch.ones(4))
    old = (bias * torch.arange(4.0)).sum()
    replace_data(bias, torch.ones(2))
    with pytest.raises(RuntimeError, match="computed before the network was cut"):
        old.backward()
    assert bias.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("trains", [True, False])
def test_the_object_its_hooks_and_its_type_stay(dtype, trains):
    weight = nn.Parameter(torch.ones(4, 3, dtype=dtype), requires_grad=trains)
    weight.mark = "mine"
    seen = []
    held = []
    if trains:
        weight.register_hook(lambda grad: seen.append(("hook", tuple(grad.shape))))
        weight.register_post_accumulate_grad_hook(lambda one: seen.append(("after", tuple(one.grad.shape))))
        held = [weight.abs().sum()]
    identity = id(weight)
    replace_data(weight, torch.zeros(2, 3, dtype=dtype))
    assert (id(weight), weight.dtype, weight.requires_grad, weight.mark) == (identity, dtype, trains, "mine")
    assert weight.is_leaf
    assert weight.shape == (2, 3)
    if trains:
        weight.abs().sum().backward()
        assert seen == [("hook", (2, 3)), ("after", (2, 3))]
    del held


def test_a_weight_that_is_frozen_at_the_cut_and_thaws_later():
    weight = nn.Parameter(torch.ones(4))
    old = weight.sum()
    weight.requires_grad_(False)
    replace_data(weight, torch.ones(2))
    weight.requires_grad_(True)
    weight.sum().backward()
    assert weight.grad.shape == (2,)
    with pytest.raises(RuntimeError, match="computed before the network was cut"):
        old.backward()


def test_a_buffer_with_a_history_starts_anew():
    module, weight = nn.Module(), nn.Parameter(torch.ones(4))
    module.register_buffer("mean", weight * 2.0)
    replace_data(module.mean, torch.zeros(2))
    assert module.mean.grad_fn is None
    (module.mean * nn.Parameter(torch.ones(2))).sum().backward()


def test_counters_of_whole_numbers_are_replaced_too():
    table = torch.arange(6)
    replace_data(table, torch.arange(3))
    assert table.tolist() == [0, 1, 2]
    assert table.dtype == torch.int64


def test_inside_of_autocast_no_copy_of_before_is_used():
    layer = nn.Linear(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(1, 3)).shape == (1, 4)
        replace_data(layer.weight, torch.ones(2, 3))
        replace_data(layer.bias, torch.zeros(2))
        assert layer(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


def test_loading_another_width_while_a_loss_is_held():
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    held = model(torch.ones(1, 3)).sum()
    adopt_shapes(model, {"0.weight": (5, 3), "0.bias": (5,), "2.weight": (2, 5)})
    nn.init.ones_(model[0].weight)
    model(torch.ones(1, 3)).sum().backward()
    assert model[0].weight.grad.shape == (5, 3)
    del held


def compiled_step(model, example):
    loss = model(example).square().mean()
    loss.backward()
    return loss


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_is_compiled_anew(backend):
    model, group, example = conv_bn_conv()
    fast = torch.compile(model, backend=backend)
    held = compiled_step(fast, example)
    apply_plan(fast, plan_for(model, group))
    compiled_step(fast, example)
    expected = copy.deepcopy(model)
    expected.zero_grad()
    compiled_step(expected.train(model.training), example)
    # Statistics moved on, gradients in train mode do not depend on them.
    for one, two in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    del held


def on_the_node(parameter):
    node = parameter.view_as(parameter).grad_fn.next_functions[0][0]
    node.register_hook(lambda *_: None)
    return node


HOOKS = {"node": on_the_node, "several": lambda p: torch.autograd.graph.register_multi_grad_hook([p], lambda _: None)}


@pytest.mark.parametrize("kind", HOOKS)
def test_hooks_on_nodes_are_named(kind):
    model, group, _ = conv_bn_conv()
    held = HOOKS[kind](model[3].weight)
    assert hooked_nodes(dict(model.named_parameters())) == ["3.weight"]
    with pytest.warns(UserWarning, match=r"'3\.weight'.*do not fire after the cut.*register_hook"):
        apply_plan(model, plan_for(model, group))
    del held


def test_hooks_on_parameters_and_losses_are_no_hooks_on_nodes():
    model, _, example = conv_bn_conv()
    model[3].weight.register_post_accumulate_grad_hook(lambda _: None)
    held = loss_of(model, example)
    assert hooked_nodes(dict(model.named_parameters())) == []
    del held
