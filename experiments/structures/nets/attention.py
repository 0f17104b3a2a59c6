"""Attention in the ways it is written: separate and fused projections, shared keys, scores by hand, rotated pairs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, case, sequences

WIDTH, HEADS, HEAD_SIZE = 12, 4, 6
SEPARATE = ("inward", "query", "key", "value", "out", "wide")
FUSED = ("inward", "triple", "out", "wide")


class Encoder(nn.Module):
    """Base: linear layer, attention and an MLP on a residual stream, linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim = HEADS, HEAD_SIZE
        self.project()
        self.inward, self.out = nn.Linear(6, WIDTH), nn.Linear(HEADS * HEAD_SIZE, WIDTH)
        self.wide, self.narrow, self.head = nn.Linear(WIDTH, 20), nn.Linear(20, WIDTH), nn.Linear(WIDTH, CLASSES)

    def project(self) -> None:
        """Make the layers for queries, keys and values."""
        size = HEADS * HEAD_SIZE
        self.query, self.key, self.value = (nn.Linear(WIDTH, size) for _ in range(3))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values as [batch, heads, tokens, head size]."""
        parts = (self.query(x), self.key(x), self.value(x))
        return tuple(part.view(*part.shape[:2], -1, self.head_dim).transpose(1, 2) for part in parts)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.out(self.attend(*self.split(x)).transpose(1, 2).flatten(2))
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=SEPARATE, example=sequences)
class SeparateProjections(Encoder):
    """queries, keys and values from three linear layers, fused attention with dropout"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=0.1 if self.training else 0.0)


@case(cut=SEPARATE, example=sequences)
class GroupedQueries(Encoder):
    """two query heads share one head of keys and values"""

    def project(self) -> None:
        self.num_kv_heads, self.query = 2, nn.Linear(WIDTH, 24)
        self.key, self.value = nn.Linear(WIDTH, 12), nn.Linear(WIDTH, 12, bias=False)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=True)


@case(cut=SEPARATE, example=sequences)
class RepeatedKeys(GroupedQueries):
    """shared keys and values repeated, scores multiplied by hand"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        repeat = self.num_heads // self.num_kv_heads
        key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
        scores = torch.matmul(query, key.transpose(2, 3)) * self.head_dim**-0.5
        return torch.matmul(F.dropout(F.softmax(scores, dim=-1), 0.1, self.training), value)


@case(cut=FUSED, example=sequences)
class FusedChunks(Encoder):
    """one linear layer for queries, keys and values, cut into three chunks"""

    def project(self) -> None:
        self.triple = nn.Linear(WIDTH, 3 * HEADS * HEAD_SIZE)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        parts = self.triple(x).chunk(3, -1)
        return tuple(part.reshape(*part.shape[:2], self.num_heads, -1).transpose(1, 2) for part in parts)


@case(cut=FUSED, example=sequences)
class NamedLengths(FusedChunks):
    """the number of heads stands in the items of a dict, kept as a tuple of pairs (the layers of einops)"""

    def __init__(self) -> None:
        super().__init__()
        self.lengths = {"three": 3, "heads": HEADS}
        self.pairs = tuple(self.lengths.items())

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        (_, three), (_, heads) = self.pairs
        joined = self.triple(x)
        seen = joined.reshape(*x.shape[:2], three, heads, joined.shape[-1] // (three * heads))
        return tuple(seen.permute(2, 0, 3, 1, 4))


@case(cut=FUSED, example=sequences)
class FusedView(FusedChunks):
    """one linear layer seen as [3, heads, head size], scores with a bias and a scale per head"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.scale = nn.Parameter(torch.randn(13, HEADS)), nn.Parameter(torch.ones(HEADS, 1, 1))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = self.triple(x).reshape(*x.shape[:2], 3, self.num_heads, self.head_dim)
        query, key, value = seen.permute(2, 0, 3, 1, 4)
        return query, key, value

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        steps = torch.arange(query.shape[2])
        bias = self.table[steps[:, None] - steps + 6].permute(2, 0, 1)
        scores = query @ key.transpose(-2, -1) * self.scale.clamp(max=4).exp() + bias
        return scores.softmax(-1) @ value


@case(cut=FUSED, example=sequences)
class HeadsFirst(FusedChunks):
    """one linear layer seen as [heads, 3 * head size]"""

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        seen: Tensor = self.triple(x)
        return seen.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2).chunk(3, -1)


@case(cut=SEPARATE, example=sequences)
class RotatedPairs(Encoder):
    """rotary positions: each channel of queries and keys is mixed with its partner in the head"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.rotated(query), self.rotated(key), value)

    def rotated(self, x: Tensor) -> Tensor:
        angle = 0.3 * torch.arange(x.shape[2])[:, None]
        first, second = x.chunk(2, -1)
        return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


@case(cut=SEPARATE, example=sequences)
class RotaryBuffer(RotatedPairs):
    """the same, the frequencies in a buffer that all heads share"""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 0.1 + torch.rand(HEAD_SIZE // 2))

    def rotated(self, x: Tensor) -> Tensor:
        angle = (torch.arange(x.shape[2])[:, None] * self.frequencies).repeat(1, 2)
        first, second = x.chunk(2, -1)
        return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


@case(cut=FUSED, example=sequences)
class RotatedSlices(RotatedPairs):
    """rotary positions, queries, keys and values sliced from one linear layer: the values alone are not mixed"""

    def project(self) -> None:
        self.size = HEADS * HEAD_SIZE
        self.triple = nn.Linear(WIDTH, 3 * self.size)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.triple(x)
        parts = (x[..., : self.size], x[..., self.size : -self.size], x[..., -self.size :])
        return tuple(part.reshape(*part.shape[:2], self.num_heads, -1).transpose(1, 2) for part in parts)


class WrittenRMSNorm(nn.Module):
    """``weight * x / sqrt(mean(x^2) + variance_epsilon)``, computed in single precision as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(WIDTH)), 1e-5

    def forward(self, x: Tensor) -> Tensor:
        single = x.float()
        single = single * torch.rsqrt(single.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * single.to(x.dtype)


@case(cut=(*SEPARATE, "narrow"), example=sequences)
class WrittenNorms(Encoder):
    """norms over channels that are written by hand"""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = WrittenRMSNorm(), WrittenRMSNorm()

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.out(self.attend(*self.split(self.first(x))).transpose(1, 2).flatten(2))
        return self.head((x + self.narrow(torch.relu(self.wide(self.second(x))))).mean(1))


@case(cut=SEPARATE, example=sequences)
class CosineScores(Encoder):
    """queries and keys of length one"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(F.normalize(query, dim=-1), F.normalize(key, dim=-1), value)


@case(cut=SEPARATE, example=sequences)
class NormedHeads(Encoder):
    """a norm over the channels of every head, its scale shared by the heads"""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HEAD_SIZE)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.norm(query), self.norm(key), value)


@case(cut=SEPARATE, example=sequences)
class LinearScores(Encoder):
    """no softmax: keys are multiplied with values first"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return query.relu() @ (key.relu().transpose(-2, -1) @ value)


@case(cut=("inward", "wide"), whole=("query", "key", "value"), example=sequences)
class OneKeyForAll(Encoder):
    """all query heads share one head of keys and values: there is but one unit"""

    def project(self) -> None:
        self.query, self.key, self.value = nn.Linear(WIDTH, 24), nn.Linear(WIDTH, 6), nn.Linear(WIDTH, 6)


@case(cut=("inward", "wide"), whole=("query", "key", "value"), example=sequences)
class HeadSizeFromWidth(Encoder):
    """the head size is the width divided by a constant number of heads"""

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        parts = (self.query(x), self.key(x), self.value(x))
        return tuple(part.view(*part.shape[:2], 4, -1).transpose(1, 2) for part in parts)


@case(cut=SEPARATE, example=sequences)
class DividedHeads(Encoder):
    """the head size is one attribute divided by another"""

    def project(self) -> None:
        super().project()
        self.inner = HEADS * HEAD_SIZE

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        parts, size = (self.query(x), self.key(x), self.value(x)), self.inner // self.num_heads
        return tuple(part.view(*part.shape[:2], self.num_heads, size).transpose(1, 2) for part in parts)


@case(cut=("query", "key", "value", "skip"), example=sequences)
class WrittenProducts(nn.Module):
    """scores are sums of products by head, as in graphs: values have as many heads, and a skip as many channels"""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.size = HEADS, WIDTH // HEADS
        self.query, self.key, self.value, self.skip = (nn.Linear(6, WIDTH) for _ in range(4))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Any:
        parts = (part(x).view(*x.shape[:2], self.heads, self.size) for part in (self.query, self.key, self.value))
        query, key, value = parts
        scores = (query * key.roll(1, 1)).sum(-1, keepdim=True) / self.size**0.5
        mixed = (value.roll(1, 1) * scores.sigmoid()).flatten(2)
        return self.head(torch.relu(mixed + self.skip(x)).mean(1))
