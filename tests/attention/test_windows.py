"""Our stand-ins for torchvision's windows compute what the originals compute, with any number of heads."""

import pytest
import torch
from hand_networks import masked
from torch import nn
from torchvision.models.maxvit import MaxVit, RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import (
    PatchMergingV2,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
    SwinTransformer,
    SwinTransformerBlockV2,
)

from experiments.structures.verdict import judge_trace
from physprune_pl.attention import by_head
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import make_plan
from physprune_pl.tracing.tracer import trace


def drawn(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def assert_stand_in_equals(module: nn.Module, x: torch.Tensor) -> None:
    expected = module(x)
    own = type(module)
    with by_head(module):
        assert type(module) is not own
        assert isinstance(module, own)
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    assert type(module) is own


@pytest.mark.parametrize("size", [(8, 8), (6, 11), (4, 9), (3, 3)])
@pytest.mark.parametrize("shift", [(0, 0), (2, 1)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedWindowAttentionV2])
def test_shifted_windows(kind, bias, shift, size):
    torch.manual_seed(0)
    module = drawn(kind(12, [4, 3], list(shift), 3, qkv_bias=bias, proj_bias=bias))
    assert_stand_in_equals(module, torch.randn(2, *size, 12))


def test_relative_positions():
    torch.manual_seed(0)
    assert_stand_in_equals(drawn(RelativePositionalMultiHeadAttention(12, 4, 9)), torch.randn(2, 5, 9, 12))


def swin():
    return SwinTransformer([4, 4], 12, [1, 2], [3, 3], [2, 2], num_classes=5)


def swin_v2():
    blocks = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    return SwinTransformer([4, 4], 12, [2], [3], [2, 2], num_classes=5, **blocks)


def maxvit():
    return MaxVit((16, 16), 8, 2, [8], [1], 4, 0.1, num_classes=5)


@pytest.mark.parametrize(("build", "layers"), [(swin, 3), (swin_v2, 2), (maxvit, 2)])
def test_networks_of_windows(build, layers):
    torch.manual_seed(0)
    model, example = drawn(build()), torch.randn(2, 3, 16, 16)
    traced = trace(model, example)
    of_heads = [group for group in traced.groups if "attn" in group.name and group.size < 4]
    assert len(of_heads) == layers
    assert all(group.exact for group in of_heads)
    tables = [part for group in of_heads for part in group.slices if "table" in part.name or "cpb" in part.name]
    assert len(tables) == layers
    assert judge_trace("", model, example, traced, shares=(0.5,), pieces=False).problems == []
    plan = plan_pruning(model, example, {"macs": 0.5})
    apply_plan(model, plan)
    assert plan.macs[1] == count_macs(model, example)
    assert plan.params[1] == count_parameters(model)
    model.train()(example).sum().backward()


@pytest.mark.parametrize("build", [swin, swin_v2, maxvit])
def test_heads_alone_are_exact(build):
    torch.manual_seed(0)
    model, example = drawn(build()), torch.randn(2, 3, 16, 16)
    traced = trace(model, example)
    removed = [
        torch.arange(group.size) == (0 if "attn" in group.name and group.size < 4 else -1) for group in traced.groups
    ]
    plan = make_plan(traced, removed, (0, 0), (0, 0))
    expected = masked(model, plan)(example)
    apply_plan(model, plan)
    torch.testing.assert_close(model(example), expected, rtol=1e-4, atol=1e-4)
