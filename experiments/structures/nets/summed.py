"""Attention and layers written with ``einsum``, and heads laid out by rearranging axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from experiments.structures.nets.attention import FUSED, HEAD_SIZE, HEADS, SEPARATE, WIDTH, Encoder, FusedChunks
from experiments.structures.nets.case import CLASSES, case, images, sequences


@case(cut=SEPARATE, example=sequences)
class SummedHeadsFirst(Encoder):
    """scores and values by ``einsum`` over [batch, heads, tokens, head size]"""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", query, key) * self.head_dim**-0.5
        return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(-1), value)


@case(cut=SEPARATE, example=sequences)
class SummedHeadsThird(Encoder):
    """the same over [batch, tokens, heads, head size]; scores have a bias for every head"""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(HEADS, 1, 1))

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        parts = (layer(x).unflatten(-1, (-1, self.head_dim)) for layer in (self.query, self.key, self.value))
        query, key, value = parts
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * self.head_dim**-0.5 + self.bias
        mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value)
        x = x + self.out(mixed.flatten(2))
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=("inward", "wide"), either=("query", "key", "value"), example=sequences)
class SummedHeadsLast(Encoder):
    """scores as [batch, queries, keys, heads], keys and values with an ellipsis"""

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        parts = (layer(x).unflatten(-1, (-1, self.head_dim)) for layer in (self.query, self.key, self.value))
        query, key, value = parts
        scores = torch.einsum("b i h d, b j h d -> b i j h", query, key)
        mixed = torch.einsum("...ijh,...jhd->...ihd", scores.softmax(2), value)
        x = x + self.out(mixed.flatten(2))
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=("inward", "wide"), either=("query", "key", "value"), example=sequences)
class SummedSharedKeys(Encoder):
    """several query heads share a head of keys and values in one ``einsum``"""

    def project(self) -> None:
        self.query, self.key, self.value = nn.Linear(WIDTH, 24), nn.Linear(WIDTH, 12), nn.Linear(WIDTH, 12)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        query = self.query(x).unflatten(-1, (-1, 2, HEAD_SIZE))
        return query, *(layer(x).unflatten(-1, (-1, HEAD_SIZE)) for layer in (self.key, self.value))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = torch.einsum("bqghd,bkgd->bghqk", query, key).softmax(-1)
        return torch.einsum("bghqk,bkgd->bghqd", scores, value).flatten(1, 2)


@case(cut=("inward", "wide"), example=sequences)
class SummedLayers(nn.Module):
    """``einsum`` as a linear layer, over the last and over another axis"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.head = nn.Linear(6, WIDTH), nn.Linear(20, CLASSES)
        self.wide = nn.Linear(14, 20)
        self.up, self.across = nn.Parameter(torch.randn(WIDTH, 16)), nn.Parameter(torch.randn(14, 16))

    def forward(self, x: Tensor) -> Any:
        x = torch.einsum("btd,de->bte", self.inward(x), self.up).relu()
        x = torch.einsum("bit,oi->bot", x.transpose(1, 2), self.across).relu()
        return self.head(self.wide(x.transpose(1, 2)).relu().mean(1))


@case(whole=("inward",), example=sequences)
class SummedHeadWeights(nn.Module):
    """projections with weights of three dimensions, one for each head"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.head = nn.Linear(6, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.first, self.last = (
            nn.Parameter(torch.randn(3, WIDTH, HEADS, 3)),
            nn.Parameter(torch.randn(HEADS, 3, WIDTH)),
        )

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        query, key, value = (torch.einsum("btd,dhe->bhte", x, weight) for weight in self.first)
        scores = torch.einsum("bhqd,bhkd->bhqk", query, key).softmax(-1)
        mixed = torch.einsum("bhqk,bhkd->bhqd", scores, value)
        return self.head((x + torch.einsum("bhtd,hdo->bto", mixed, self.last)).mean(1))


@case(cut=FUSED, example=sequences)
class Rearranged(FusedChunks):
    """``b n (three h d) -> three b h n d`` and back"""

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = self.triple(x).reshape(*x.shape[:2], 3, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        return tuple(seen.unbind(0))


@case(cut=("inward", "out"), either=("triple",), example=images)
class RearrangedPictures(nn.Module):
    """``b (heads c) x y -> b heads c (x y)``: linear attention over the pixels of a picture"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.triple = nn.Conv2d(3, WIDTH, 1), nn.Conv2d(WIDTH, 3 * HEADS * 3, 1, bias=False)
        self.out, self.head = nn.Conv2d(HEADS * 3, WIDTH, 1), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        parts = self.triple(x).chunk(3, 1)
        query, key, value = (part.reshape(len(x), -1, 3, x.shape[2] * x.shape[3]) for part in parts)
        context = torch.einsum("bhdn,bhen->bhde", key.softmax(-1), value)
        mixed = torch.einsum("bhde,bhdn->bhen", context, query.softmax(-2))
        x = x + self.out(mixed.reshape(len(x), -1, *x.shape[2:]))
        return self.head(x.flatten(2).mean(2))
