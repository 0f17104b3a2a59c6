"""The transformer encoder for sentences: blind to padding, cut exactly where it is cut."""

import copy
from inspect import signature
from typing import Any

import pytest
import torch
from hand_networks import masked

from experiments.training.assembly import composed
from experiments.training.models.text import SelfAttention, TextEncoder, text_encoder
from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.networks.measure import count_macs, count_parameters

SMALL = {"width": 12, "depth": 2, "heads": 2, "head_size": 3}


def small(**arguments: Any) -> TextEncoder:
    return text_encoder((10, 30), 3, **{**SMALL, **arguments}).eval()


def sentences(count: int, length: int, real: int) -> torch.Tensor:
    tokens = torch.randint(1, 30, (count, length))
    tokens[:, real:] = 0
    return tokens


def test_parameters_and_multiply_adds_are_those_of_the_formula() -> None:
    network = text_encoder((64, 8002), 2)
    width, inner, hidden, length = 64, 32, 512, 64
    attention = 4 * width * inner + 3 * inner + width
    block = attention + 2 * width * hidden + hidden + width + 4 * width
    assert count_parameters(network) == (8002 + 64) * width + 2 * block + 2 * width + 2 * (width + 1) == 665_922
    products = 4 * width * inner + 2 * length * inner + 2 * width * hidden
    assert count_macs(network, torch.ones(2, length, dtype=torch.long)) == 2 * length * products + 2 * width


def test_attention_equals_loops_over_sentences_heads_and_tokens() -> None:
    attention = SelfAttention(width=6, heads=2, head_size=3).double()
    stream = torch.randn(2, 4, 6, dtype=torch.float64)
    real = torch.tensor([[True, True, True, False], [True, True, True, True]])
    expected = torch.zeros(2, 4, 6, dtype=torch.float64)
    for sentence in range(2):
        read = torch.zeros(4, 6, dtype=torch.float64)
        others = [token for token in range(4) if real[sentence, token]]
        query, key, value = (layer(stream[sentence]) for layer in (attention.query, attention.key, attention.value))
        for head in (slice(0, 3), slice(3, 6)):
            for token in range(4):
                scores = torch.stack([query[token, head] @ key[other, head] / 3**0.5 for other in others])
                shares = scores.exp() / scores.exp().sum()
                read[token, head] = sum(share * value[other, head] for share, other in zip(shares, others, strict=True))
        expected[sentence] = attention.out(read)
    assert torch.allclose(attention(stream, real), expected, atol=1e-12)


@pytest.mark.parametrize("longer", [7, 10])
def test_padding_makes_no_difference(longer: int) -> None:
    network = small().double()
    tokens = sentences(4, longer, real=5)
    with torch.no_grad():
        network.word.weight[0] = 1e3
    assert torch.allclose(network(tokens), network(tokens[:, :5]), atol=1e-12)
    assert torch.allclose(network(tokens)[:1], network(tokens[:1]), atol=1e-12)


def test_the_order_of_words_does_make_one() -> None:
    tokens = sentences(4, 6, real=6)
    network = small()
    assert not torch.allclose(network(tokens), network(tokens.flip(1)), atol=1e-4)


def test_heads_and_the_two_layer_networks_can_be_cut_exactly() -> None:
    groups = {group.name: group for group in trace_groups(small(), torch.ones(2, 10, dtype=torch.long))}
    assert {name: (group.size, group.exact) for name, group in groups.items()} == {
        "word": (12, False),
        "blocks.0.attention.query": (2, True),
        "blocks.0.widen": (96, True),
        "blocks.1.attention.query": (2, True),
        "blocks.1.widen": (96, True),
    }


def test_a_cut_to_a_third_equals_the_masked_network() -> None:
    network, example = small().double(), torch.ones(2, 10, dtype=torch.long)
    plan = plan_pruning(network, example, target={"macs": 1 / 3})
    assert {group.name: group.after for group in plan.groups}["word"] == 12
    expected = masked(network, plan)
    pruned = apply_plan(copy.deepcopy(network), plan)
    assert count_macs(pruned, example) == plan.macs[1] <= 0.34 * plan.macs[0]
    tokens = sentences(5, 10, real=7)
    assert torch.allclose(pruned(tokens), expected(tokens), atol=1e-12)
    assert not torch.allclose(pruned(tokens), network(tokens), atol=1e-4)


@pytest.mark.parametrize("name", ["width", "depth", "heads", "head_size", "expansion"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        small(**{name: 0})


def test_sentences_longer_than_the_places_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 10 a sentence, got 11"):
        small()(torch.ones(1, 11, dtype=torch.long))


def test_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs sentences .* have \(3, 32, 32\)"):
        text_encoder((3, 32, 32), 10)


def test_the_configuration_names_every_argument_and_its_default() -> None:
    config = composed(["model=text_encoder", "paths.output=out"]).model
    defaults = {name: one.default for name, one in signature(text_encoder).parameters.items()}
    expected = {name: value for name, value in defaults.items() if name not in ("shape", "classes")}
    assert {name: value for name, value in config.items() if name not in ("_target_", "weights")} == expected
    assert config.weights is None
