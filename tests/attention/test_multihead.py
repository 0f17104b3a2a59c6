"""Our stand-in computes what PyTorch's multi-head attention computes, and works with any number of heads."""

import copy

import pytest
import torch
from torch import nn

from physprune_pl.attention import HeadwiseAttention, by_head

WIDTH, HEADS = 12, 3
OPTIONS = (
    {},
    {"bias": False},
    {"batch_first": True},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"batch_first": True, "kdim": 8, "vdim": 10},
    {"kdim": 8, "vdim": 10, "bias": False, "add_bias_kv": True},
)


def attention(**options) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(WIDTH, HEADS, **options)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def inputs(module: nn.MultiheadAttention, alike: bool) -> tuple[torch.Tensor, ...]:
    first, second = ((2, 5), (2, 4)) if module.batch_first else ((5, 2), (4, 2))
    query = torch.randn(*first, WIDTH)
    if alike and module.kdim == WIDTH:
        return query, query, query
    return query, torch.randn(*second, module.kdim), torch.randn(*second, module.vdim)


def both(module, *args, **kwargs):
    """What the original returns, and what it returns as its stand-in."""
    expected = module(*args, **kwargs)
    with by_head(module):
        assert type(module) is HeadwiseAttention
        got = module(*args, **kwargs)
    assert type(module) is nn.MultiheadAttention
    return expected, got


@pytest.mark.parametrize("weights", ["none", "mean", "each"])
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_the_original(options, alike, weights):
    module = attention(**options)
    settings = {"need_weights": weights != "none", "average_attn_weights": weights == "mean"}
    expected, got = both(module, *inputs(module, alike), **settings)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("options", OPTIONS[:4])
def test_masks(options, size, kind):
    module = attention(**options)
    given = inputs(module, alike=False)
    hidden = torch.ones(5, 4).triu(1).bool() if size == 2 else torch.rand(2 * HEADS, 5, 4) > 0.7
    padding = torch.tensor([[False, False, False, False], [False, False, False, True]])
    mask = hidden if kind == torch.bool else torch.zeros(hidden.shape).masked_fill(hidden, -3.0)
    padding = padding if kind == torch.bool else torch.zeros(2, 4).masked_fill(padding, float("-inf"))
    for settings in ({}, {"key_padding_mask": padding}):
        expected, got = both(module, *given, attn_mask=mask, need_weights=False, **settings)
        torch.testing.assert_close(got, expected)


def test_a_causal_hint_needs_its_mask_and_changes_nothing():
    module = attention(batch_first=True)
    x = torch.randn(2, 5, WIDTH)
    hidden = nn.Transformer.generate_square_subsequent_mask(5)
    expected, got = both(module, x, x, x, attn_mask=hidden, is_causal=True, need_weights=False)
    torch.testing.assert_close(got, expected)
    with by_head(module), pytest.raises(ValueError, match="attn_mask: expected a mask"):
        module(x, x, x, is_causal=True)


def test_one_sample_without_a_batch():
    module = attention()
    x = torch.randn(5, WIDTH)
    expected, got = both(module, x, x, x)
    torch.testing.assert_close(got, expected)


def test_gradients_and_dropout():
    module = attention(dropout=0.5, batch_first=True)
    x = torch.randn(2, 5, WIDTH)
    with by_head(module):
        torch.manual_seed(1)
        one = module(x, x, x, need_weights=False)[0]
        two = module(x, x, x, need_weights=False)[0]
        assert not torch.equal(one, two)
        module.eval()
        module(x, x, x)[0].square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_any_number_of_heads():
    module = attention(batch_first=True)
    x = torch.randn(2, 5, WIDTH)
    masked = copy.deepcopy(module)
    rows = torch.tensor([*range(4, 12)])
    with torch.no_grad():
        masked.out_proj.weight[:, :4] = 0
    expected = masked(x, x, x, need_weights=False)[0]
    module.__class__ = HeadwiseAttention
    module.num_heads = 2
    kept = torch.cat([rows, rows + 12, rows + 24])
    module.in_proj_weight.data, module.in_proj_bias.data = module.in_proj_weight[kept], module.in_proj_bias[kept]
    module.out_proj.weight.data = module.out_proj.weight[:, rows]
    torch.testing.assert_close(module(x, x, x, need_weights=False)[0], expected)
    torch.testing.assert_close(module(x, x, x)[0], expected)
