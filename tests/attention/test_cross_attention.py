"""Attention from one sequence to another is planned, cut, loaded and counted like any other layer."""

import copy

import pytest
import torch
from torch import nn

from experiments.structures.nets.crossed import DecoderLayers, PackedProjections, WholeTransformer, two_sequences
from experiments.structures.verdict import judge_trace
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.tracing.tracer import trace


@pytest.fixture(scope="module")
def planned():
    torch.manual_seed(0)
    model, example = DecoderLayers(), two_sequences()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval(), example, plan_pruning(model, example, {"macs": 0.5})


def test_decoder_is_cut_to_its_target(planned):
    model, example, plan = copy.deepcopy(planned)
    apply_plan(model, plan)
    assert plan.macs[1] == count_macs(model, example)
    assert plan.macs[1] / plan.macs[0] == pytest.approx(0.5, rel=0.02)
    assert plan.params[1] == count_parameters(model)
    layer = model.inner.layers[0]
    assert layer.self_attn.num_heads + layer.multihead_attn.num_heads < 8
    model.train()(*example).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_cut_decoder_is_loaded(planned, tmp_path):
    model, example, plan = copy.deepcopy(planned)
    apply_plan(model, plan)
    state = {"plan": plan.to_dict(), "prefix": ""}
    torch.save({"state_dict": model.state_dict(), "callbacks": {"PruneAndFinetune": state}}, tmp_path / "last.ckpt")
    loaded = load_pruned(DecoderLayers(), tmp_path / "last.ckpt").eval()
    torch.testing.assert_close(loaded(*example), model(*example))


def test_shares_of_a_packed_weight_add_up():
    torch.manual_seed(0)
    model, example = PackedProjections(), two_sequences()
    traced = trace(model, example)
    packed = [call for call in traced.calls if call.weight == "attention.in_proj_weight" and call.dims is None]
    assert [call.positions for call in packed] == [7, 5, 5]
    assert sum(call.macs((36, 12)) for call in packed) == (7 + 5 + 5) * 12 * 12
    assert traced.fixed_macs == 0


def test_whole_transformer_is_cut_right():
    torch.manual_seed(0)
    model, example = WholeTransformer(), two_sequences()
    traced = trace(model, example)
    sizes = {group.name: group.size for group in traced.groups}
    attentions = [name for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)]
    assert [sizes[name] for name in attentions] == [4, 4, 4]
    assert judge_trace("", model, example, traced, shares=(0.5,), pieces=False).problems == []
    apply_plan(model, plan_pruning(model, example, {"macs": 0.2}, max_share={"beside": 0.75}))
    assert model.inner.d_model == model.inward.out_features < 12
    model(*example).sum().backward()
