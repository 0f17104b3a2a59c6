"""Networks of the transformers library: heads and widths are cut, configs follow, folders load again."""

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from experiments.structures.verdict import judge_trace
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_chosen
from physprune_pl.structure import Trace
from physprune_pl.surgery.apply import adopt_shapes, apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

transformers = pytest.importorskip("transformers", reason="needs transformers")

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 20}
HALF = {".*": 0.5}


def words():
    hidden = torch.ones(3, 5, dtype=torch.long)
    hidden[0, 4:] = 0
    return {"input_ids": torch.randint(0, 30, (3, 5)), "attention_mask": hidden}


def bert(attention):
    config = transformers.BertConfig(
        vocab_size=30, num_attention_heads=4, max_position_embeddings=8, attn_implementation=attention, **SIZES
    )
    return transformers.BertForSequenceClassification(config), words()


def vit(attention):
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, num_attention_heads=4, attn_implementation=attention, num_labels=3, **SIZES
    )
    return transformers.ViTForImageClassification(config), {"pixel_values": torch.randn(3, 3, 8, 8)}


def llama(attention):
    config = transformers.LlamaConfig(
        vocab_size=30,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation=attention,
        tie_word_embeddings=True,
        **SIZES,
    )
    return transformers.LlamaForCausalLM(config), words()


@dataclass(frozen=True)
class Traced:
    """A dense network, its example and its trace."""

    model: Any
    example: dict[str, torch.Tensor]
    trace: Trace

    def cut(self, target, share=None):
        """Return a cut copy; its plan keeps the same share of every group if there is one."""
        widths = Widths(min_share=share or {}, max_share=share or {})
        model = copy.deepcopy(self.model)
        plan = plan_chosen(model, Chooser(self.trace, target, widths))
        return apply_plan(model, plan), plan


EAGER = pytest.mark.slow
FAMILIES = [
    *((build, "sdpa") for build in (bert, vit, llama)),
    *(pytest.param((build, "eager"), marks=EAGER) for build in (bert, vit, llama)),
]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda given: f"{given[0].__name__} {given[1]}")
def traced(request):
    torch.manual_seed(0)
    build, attention = request.param
    model, example = build(attention)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.eval()
    return Traced(model, example, trace(model, example))


def logits(model, example):
    with torch.no_grad():
        return model.eval()(**example).logits


def test_heads_and_widths_are_cut_right(traced):
    names = {part.name for group in traced.trace.groups for part in group.slices}
    for kind in ("q_proj", "query", "embed", "up_proj", "fc1", "intermediate"):
        there = {name for name, _ in traced.model.named_parameters() if kind in name}
        assert there <= names
    exact = [group for group in traced.trace.groups if group.exact]
    assert len(exact) >= 4
    assert judge_trace("", traced.model, traced.example, traced.trace, shares=(0.5,), pieces=False).problems == []


def test_config_follows_where_layers_stay_alike(traced, tmp_path):
    model, plan = traced.cut(Target("threshold", 1e-9), HALF)
    config = model.config
    assert (config.hidden_size, config.intermediate_size, config.num_attention_heads) == (8, 10, 2)
    assert getattr(config, "num_key_value_heads", 1) == 1
    assert not hasattr(config, "pruned_shapes")
    model.save_pretrained(tmp_path)
    expected = logits(model, traced.example)
    loaded = type(model).from_pretrained(tmp_path, attn_implementation=config._attn_implementation)
    assert torch.equal(logits(loaded, traced.example), expected)
    assert torch.equal(logits(load_pruned(copy.deepcopy(traced.model), tmp_path), traced.example), expected)
    assert (plan.macs[1], plan.params[1]) == (count_macs(model, traced.example), count_parameters(model))


def test_layers_that_differ_load_by_one_call(traced, tmp_path):
    with pytest.warns(UserWarning, match=r"load_pruned\(\w+\(config\), folder\)"):
        model, plan = traced.cut(Target("macs", 0.6))
    assert (plan.macs[1], plan.params[1]) == (count_macs(model, traced.example), count_parameters(model))
    model.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="mismatch"):
        type(model).from_pretrained(tmp_path)
    kind, attention = type(model), model.config._attn_implementation
    fresh = kind(kind.config_class.from_pretrained(tmp_path, attn_implementation=attention))
    loaded = load_pruned(fresh, tmp_path)
    assert loaded is fresh
    assert type(loaded) is type(model)
    assert torch.equal(logits(loaded, traced.example), logits(model, traced.example))


def test_cut_network_trains_and_stays_tied(traced):
    model, _ = traced.cut(Target("threshold", 1e-9), HALF)
    model.train()(**traced.example).logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    if hasattr(model, "lm_head"):
        assert model.lm_head.weight is model.model.embed_tokens.weight


def test_part_of_a_lightning_module_follows_too():
    model, _ = bert("sdpa")
    whole = nn.ModuleDict({"net": model})
    layers = [name for name, _ in whole.named_parameters() if "intermediate.dense" in name or "output.dense" in name]
    shapes = {name: tuple(whole.get_parameter(name).shape) for name in layers if ".attention." not in name}
    adopt_shapes(whole, {name: tuple(7 if size == 20 else size for size in shape) for name, shape in shapes.items()})
    assert model.config.intermediate_size == 7


def test_folder_of_another_network_is_refused(tmp_path):
    bert("sdpa")[0].save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"path: .* folder of transformers"):
        load_pruned(nn.Linear(2, 2), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"path: .* does not load as a BertForSequenceClassification"):
        load_pruned(bert("sdpa")[0], tmp_path)


def test_network_without_a_config_of_its_own_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adopt_shapes(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), {"0.weight": (2, 2), "0.bias": (2,)})
