"""Attention from one sequence to another, by PyTorch's own modules and by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, case, sequences

WIDTH, HEADS = 12, 4


def two_sequences() -> tuple[Tensor, Tensor]:
    """Four sequences of seven steps with six numbers each, and four of five steps with three numbers each."""
    return torch.randn(4, 7, 6), torch.randn(4, 5, 3)


def padded() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two sequences, what may not be looked at, and which steps of the second are padding."""
    padding = torch.zeros(4, 5, dtype=torch.bool)
    padding[1, 3:] = True
    return *two_sequences(), torch.ones(7, 5).triu(2).bool(), padding


class Crossed(nn.Module):
    """Base: a linear layer for each sequence, attention from the first to the second, linear head."""

    options: dict[str, Any] = {"batch_first": True}  # noqa: RUF012 - read only
    widths = (WIDTH, WIDTH)

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.beside = nn.Linear(6, WIDTH), nn.Linear(3, self.widths[0])
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **self.options)
        self.head = nn.Linear(WIDTH, CLASSES)

    def attend(self, x: Tensor, memory: Tensor, **masks: Tensor) -> Tensor:
        mixed: Tensor = self.attention(x, memory, memory, need_weights=False, **masks)[0]
        return mixed

    def forward(self, x: Tensor, memory: Tensor, *masks: Tensor) -> Any:
        x = self.inward(x)
        given = dict(zip(("attn_mask", "key_padding_mask"), masks, strict=False))
        return self.head((x + self.attend(x, self.beside(memory), **given)).mean(1))


@case(cut=("inward", "beside", "attention"), example=padded)
class PackedProjections(Crossed):
    """queries, keys and values are rows of one weight, each applied to its own input, with two masks"""


@case(cut=("inward", "beside", "attention"), example=two_sequences)
class WeightsAsked(Crossed):
    """the weights of the attention are computed, and dropped; steps come first"""

    options: dict[str, Any] = {"bias": False}  # noqa: RUF012 - read only

    def attend(self, x: Tensor, memory: Tensor, **masks: Tensor) -> Tensor:
        memory = memory.transpose(0, 1)
        mixed: Tensor = self.attention(x.transpose(0, 1), memory, memory, need_weights=True, **masks)[0]
        return mixed.transpose(0, 1)


@case(cut=("inward", "beside", "further", "attention"), example=two_sequences)
class OtherWidths(Crossed):
    """keys and values have widths of their own, a learned token and a token of zeros"""

    options: dict[str, Any] = {  # noqa: RUF012 - read only
        **{"batch_first": True, "kdim": 8, "vdim": 10, "add_bias_kv": True, "add_zero_attn": True}
    }
    widths = (8, 10)

    def __init__(self) -> None:
        super().__init__()
        self.further = nn.Linear(8, 10)

    def attend(self, x: Tensor, memory: Tensor, **masks: Tensor) -> Tensor:
        mixed: Tensor = self.attention(x, memory, self.further(memory).relu(), need_weights=False, **masks)[0]
        return mixed


@case(cut=("inward", "beside"), whole=("attention",), example=two_sequences)
class WeightsReturned(Crossed):
    """the mean of the weights over the heads is returned: no head may go"""

    def forward(self, x: Tensor, memory: Tensor, *_: Tensor) -> Any:
        x = self.inward(x)
        mixed, weights = self.attention(x, beside := self.beside(memory), beside)
        return self.head((x + mixed).mean(1)), weights


@case(
    cut=("inward", "beside"),
    whole=("attention",),
    example=lambda: (*two_sequences(), torch.rand(4 * HEADS, 7, 5) > 0.7),
)
class MaskOfEveryHead(Crossed):
    """the mask that is given has a row for every head"""

    def forward(self, x: Tensor, memory: Tensor, *masks: Tensor) -> Any:
        return super().forward(x, memory, masks[0].float())


@case(whole=("inward", "beside"), example=two_sequences)
class CalledAsFunction(Crossed):
    """``F.multi_head_attention_forward`` called without its module, with a number of heads of its own"""

    def attend(self, x: Tensor, memory: Tensor, **_: Tensor) -> Tensor:
        own, x = self.attention, x.transpose(0, 1)
        weights = (own.in_proj_weight, own.in_proj_bias, None, None, False, 0.0, own.out_proj.weight, own.out_proj.bias)
        mixed: Tensor = F.multi_head_attention_forward(x, x, x, WIDTH, HEADS, *weights, training=False)[0]
        return mixed.transpose(0, 1) + memory.mean(1, keepdim=True)


@case(cut=("inward", "query", "value", "out"), example=two_sequences)
class RowsOfOneWeight(nn.Module):
    """cross attention by hand, with slices of one weight and separate biases"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.memory = nn.Linear(6, WIDTH), nn.Linear(3, WIDTH)
        self.packed = nn.Parameter(torch.randn(3 * WIDTH, WIDTH))
        self.query, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.out, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        x, memory = self.inward(x), self.memory(memory)
        size = self.packed.shape[0] // 3
        query = self.query(x) + F.linear(x, self.packed[:size])
        key = F.linear(memory, self.packed[size : 2 * size])
        value = self.value(memory) + F.linear(memory, self.packed[2 * size :])
        parts = (part.unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2) for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return self.head((x + self.out(mixed)).mean(1))


class Layers(nn.Module):
    """Base: a linear layer for each sequence, a network of PyTorch's from the second to the first, linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.beside, self.head = nn.Linear(6, WIDTH), nn.Linear(3, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.inner = self.build()

    def build(self) -> nn.Module:
        raise NotImplementedError

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        return self.head(self.inner(self.inward(x), self.beside(memory)).mean(1))


DECODER = ("inner.layers.0.self_attn", "inner.layers.0.multihead_attn", "inner.layers.0.linear1")


@case(cut=("inward", "beside", *DECODER), example=two_sequences)
class DecoderLayers(Layers):
    """``nn.TransformerDecoder``"""

    def build(self) -> nn.Module:
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(WIDTH, HEADS, 16, batch_first=True), 1)


class WholeTransformer(Layers):
    """``nn.Transformer``, norms first, steps before samples"""

    def build(self) -> nn.Module:
        encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 16, norm_first=True), 1, enable_nested_tensor=False
        )
        return nn.Transformer(WIDTH, HEADS, 1, 1, 16, norm_first=True, custom_encoder=encoder)

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        source, target = self.beside(memory).transpose(0, 1), self.inward(x).transpose(0, 1)
        return self.head(self.inner(source, target).mean(0))


class Biased(nn.Module):
    """Attention with a bias for every head, which the first layer makes and all others take over (T5)."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.heads, self.size, self.fused = HEADS, WIDTH // HEADS, fused
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        parts = (
            part(x).view(*x.shape[:2], -1, self.size).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        query, key, value = parts
        bias = torch.zeros((1, self.heads, *x.shape[1:2] * 2)) if bias is None else bias
        if self.fused:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(x.dtype))
        else:
            mixed = (query @ key.transpose(-1, -2) + bias.to(x.dtype)).softmax(-1) @ value
        return x + self.out(mixed.transpose(1, 2).flatten(2)), bias


@case(cut=("inward", "first.query", "first.key", "second.query", "second.value"), example=sequences)
class TakenOverBias(nn.Module):
    """two layers of fused attention, the second takes over a bias that the first has made of its number of heads"""

    fused = True

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.head = nn.Linear(6, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.first, self.second = Biased(self.fused), Biased(self.fused)

    def forward(self, x: Tensor) -> Any:
        x, bias = self.first(self.inward(x), None)
        return self.head(self.second(x, bias)[0].mean(1))


@case(cut=("inward", "first.query", "first.key", "second.query", "second.value"), example=sequences)
class TakenOverBiasInScores(TakenOverBias):
    """the same, scores by hand"""

    fused = False
