"""Surgery on tiny networks with hand-written groups: the cut network equals the masked dense one."""

import copy
from dataclasses import replace

import pytest
import torch
from hand_networks import (
    NETWORKS,
    columns,
    conv_bn_conv,
    depthwise,
    group_norm,
    grouped,
    linear_chain,
    masked,
    norm,
    plan_for,
    rows,
)
from torch import nn

from physprune_pl.planning import plan_pruning
from physprune_pl.structure import ChannelGroup
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan, TensorCut


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_cut_network_equals_the_masked_one(build, training):
    model, group, example = build()
    plan = plan_for(model, group)
    expected = masked(model, plan).train(training)(example)
    cut = apply_plan(model.train(training), plan)
    assert cut is model
    torch.testing.assert_close(cut(example), expected)
    cut(example).sum().backward()
    assert all(parameter.grad.shape == parameter.shape for parameter in cut.parameters())


@pytest.mark.parametrize("build", NETWORKS)
def test_modules_know_their_new_sizes(build):
    model, group, _ = build()
    apply_plan(model, plan_for(model, group))
    for module in model.modules():
        if type(module) in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Bilinear):
            twin = eval(f"nn.{module!r}")
            assert {name: p.shape for name, p in twin.named_parameters()} == {
                name: p.shape for name, p in module.named_parameters()
            }


def test_attributes_by_name():
    model, group, _ = group_norm()
    apply_plan(model, plan_for(model, group))
    assert (model[1].num_channels, model[1].num_groups) == (4, 2)
    model, group, _ = depthwise()
    apply_plan(model, plan_for(model, group))
    assert (model[1].in_channels, model[1].out_channels, model[1].groups) == (2, 4, 2)
    model, group, _ = linear_chain()
    apply_plan(model, plan_for(model, group))
    assert (model[1].num_parameters, model[3].in_features) == (2, 18)
    model, group, _ = conv_bn_conv()
    apply_plan(model, plan_for(model, group))
    assert model[1].num_features == 4


def test_layer_norm_and_embedding():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.norm, self.rms = nn.Embedding(7, 4), nn.LayerNorm(4), nn.RMSNorm(4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rms(self.norm(self.table(x))))

    model = Words()
    carriers = tuple(rows(name, 4, "carrier") for name in ("norm.weight", "norm.bias", "rms.weight"))
    group = ChannelGroup("table", 4, (rows("table.weight", 4, dim=1), *carriers, columns("head.weight", 4)))
    apply_plan(model, plan_for(model, group))
    assert model.table.embedding_dim == 2
    assert model.norm.normalized_shape == model.rms.normalized_shape == (2,)
    assert model(torch.tensor([[1, 2]])).shape == (1, 2, 2)


def test_tied_weights_are_cut_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(4, 3, bias=False)
            self.decode = nn.Linear(3, 4, bias=False)
            self.again = nn.Linear(4, 3, bias=False)
            self.again.weight = self.encode.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decode(self.encode(x) + self.again(x))

    model = Tied()
    group = ChannelGroup("encode", 3, (rows("encode.weight", 3), columns("decode.weight", 3)))
    plan = plan_for(model, group, gone=(1,))
    both = {**plan.tensors, "again.weight": plan.tensors["encode.weight"]}
    apply_plan(model, replace(plan, tensors=both))
    assert model.encode.weight is model.again.weight
    assert model.encode.out_features == model.again.out_features == 2
    assert model(torch.ones(1, 4)).shape == (1, 4)


def test_tied_weights_that_disagree_are_refused():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    cuts = {"0.weight": TensorCut((3, 3), {0: (0, 1)}), "1.weight": TensorCut((3, 3), {1: (0, 1)})}
    with pytest.raises(ValueError, match="tied"):
        apply_plan(model, PruningPlan(cuts, (), (), (0, 0), (0, 0)))


def test_channels_last_stays():
    model, group, example = conv_bn_conv()
    model = model.to(memory_format=torch.channels_last)
    plan = plan_for(model, group)
    expected = masked(model, plan).eval()(example)
    apply_plan(model, plan)
    assert model[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert not model[3].weight.is_contiguous()
    torch.testing.assert_close(model.eval()(example), expected)


def test_hooks_survive_and_frozen_stays_frozen():
    model, group, example = conv_bn_conv()
    model[0].weight.requires_grad_(False)
    seen = []
    model[1].register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
    model[3].weight.register_hook(lambda gradient: seen.append(gradient.shape[1]))
    model(example).sum().backward()
    apply_plan(model, plan_for(model, group))
    model(example).sum().backward()
    assert seen == [6, 6, 4, 4]
    assert not model[0].weight.requires_grad
    assert model[0].weight.grad is None
    assert model[3].weight.requires_grad


def test_half_precision_and_double_keep_their_type():
    for dtype in (torch.bfloat16, torch.float64):
        model, group, _ = conv_bn_conv()
        apply_plan(model.to(dtype), plan_for(model, group))
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_compiled_wrapper_is_cut():
    model, group, example = conv_bn_conv()
    plan = plan_for(model, group)
    compiled = torch.compile(model, backend="eager")
    expected = masked(model, plan).eval()(example)
    compiled.eval()(example)
    assert apply_plan(compiled, plan) is compiled
    torch.testing.assert_close(compiled(example), expected)
    assert model[0].out_channels == 4


class Branch(nn.Module):
    """A part that may be compiled by itself, beside parts that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.part, self.last = nn.Conv2d(2, 16, 3), nn.Conv2d(16, 20, 1), nn.Conv2d(20, 2, 1)

    def forward(self, x):
        return self.last(self.part(self.first(x).relu()).relu())


def compiled_whole(model):
    return torch.compile(model, backend="eager")


def compiled_part(model):
    model.part = torch.compile(model.part, backend="eager")
    return model


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


@pytest.mark.parametrize("compiled", [compiled_whole, compiled_part, compiled_in_place])
def test_compiled_networks_are_cut_as_what_they_were_made_from_and_compiled_anew(compiled, monkeypatch):
    model, example = Branch(), torch.randn(2, 2, 6, 6)
    plain = copy.deepcopy(model)
    compiled_model = compiled(model)
    with torch.no_grad():
        compiled_model(example)
    plan = plan_pruning(compiled_model, example, {"macs": 0.5})
    resets, reset = [], torch._dynamo.reset
    monkeypatch.setattr(torch._dynamo, "reset", lambda: resets.append(reset()))
    assert apply_plan(compiled_model, plan) is compiled_model
    assert len(resets) == 1
    apply_plan(plain, plan_pruning(plain, example, {"macs": 0.5}))
    with torch.no_grad():
        torch.testing.assert_close(compiled_model(example), plain(example))
    assert (model.first.out_channels, plain.first.out_channels) == (plan.groups[0].after,) * 2 != (16, 16)


def test_hooks_of_every_kind_survive():
    model, group, example = conv_bn_conv()
    seen = []
    model[1].register_forward_pre_hook(lambda module, args: seen.append(("before", args[0].shape[1])))
    model[1].register_full_backward_pre_hook(lambda module, grads: seen.append(("backward", grads[0].shape[1])))
    model[1].register_full_backward_hook(lambda module, grads, _: seen.append(("gradient", grads[0].shape[1])))
    model.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(("saving", 0)))
    model.register_state_dict_post_hook(lambda module, state, *_: seen.append(("saved", len(state["0.weight"]))))
    model.register_load_state_dict_pre_hook(lambda module, state, *_: seen.append(("loading", len(state["0.weight"]))))
    model.register_load_state_dict_post_hook(lambda module, _: seen.append(("loaded", 0)))
    apply_plan(model, plan_for(model, group))
    model(example).sum().backward()
    model.load_state_dict(model.state_dict())
    widths = [("before", 4), ("backward", 4), ("gradient", 4)]
    assert seen == [*widths, ("saving", 0), ("saved", 4), ("loading", 4), ("loaded", 0)]


def test_parametrized_weight():
    model, _, example = conv_bn_conv()
    nn.utils.parametrizations.weight_norm(model[0])
    slices = (rows("0.parametrizations.weight.original0", 6), rows("0.parametrizations.weight.original1", 6))
    others = (rows("0.bias", 6, "carrier"), *norm("1", 6), columns("3.weight", 6))
    apply_plan(model, plan_for(model, ChannelGroup("0", 6, (*slices, *others))))
    assert model[0].out_channels == 4
    assert model(example).shape == (3, 4)


def test_a_broken_conv_group_changes_nothing():
    model, _, _ = grouped()
    plan = PruningPlan({"1.weight": TensorCut((12, 2, 3, 3), {0: tuple(range(11))})}, (), (), (0, 0), (0, 0))
    with pytest.raises(ValueError, match="no whole number of groups"):
        apply_plan(model, plan)
    assert model[1].weight.shape == (12, 2, 3, 3)
