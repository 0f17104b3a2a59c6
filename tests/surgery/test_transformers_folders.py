"""Families of the transformers library: what is cut is saved and loaded again, by the library alone where it can be."""

import copy

import pytest
import torch
from torch import nn

from physprune_pl.planning import plan_chosen
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

pytest.importorskip("transformers", reason="needs transformers")

from experiments.zoo.transformers_families import FAMILIES

FAST = ("bert", "gpt2", "phi3", "segformer", "resnet", "hubert")
HALF = Widths(min_share={".*": 0.5}, max_share={".*": 0.5})
# Half of every group: the scale of the embeddings follows the width in the config, but not in a cut network (gemma);
# only some of the heads or streams go (t5, bart, whisper, clip); a token is never run (dinov2);
# widths are made multiples of eight (mobilenet_v2).
NEED_LOAD_PRUNED = {
    *("gemma", "gemma2", "gemma3", "t5", "bart", "whisper", "clip", "dinov2", "mobilenet_v2"),
}


def redrawn(name):
    model, example = FAMILIES[name].make()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval(), example


def outputs(model, example):
    with torch.no_grad():
        given = model.eval()(**example)
    return [value for value in given.values() if isinstance(value, torch.Tensor)]


def same(one, other):
    return len(one) == len(other) > 0 and all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
@pytest.mark.filterwarnings("ignore:the config of .* has no numbers:UserWarning")
def test_a_cut_network_is_saved_and_loaded(name, tmp_path):
    model, example = redrawn(name)
    dense = copy.deepcopy(model)
    traced = trace(model, example)
    apply_plan(model, plan_chosen(model, Chooser(traced, Target("threshold", 1e-9), HALF)))
    expected = outputs(model, example)
    model.save_pretrained(tmp_path)
    assert hasattr(model.config, "pruned_shapes") == (name in NEED_LOAD_PRUNED)
    if name not in NEED_LOAD_PRUNED:
        assert same(outputs(type(model).from_pretrained(tmp_path), example), expected)
    loaded = load_pruned(dense, tmp_path)
    assert type(loaded) is type(model)
    assert same(outputs(loaded, example), expected)
