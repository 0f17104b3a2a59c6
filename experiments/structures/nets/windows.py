"""Attention in windows: heads and windows lie side by side before the matrices that are multiplied."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.attention import FUSED, HEAD_SIZE, WIDTH, FusedView
from experiments.structures.nets.case import CLASSES, case, images, sequences

STEPS = 4


def windowed() -> Tensor:
    """Four sequences of twelve steps with six numbers each: three windows of four steps."""
    return torch.randn(4, 3 * STEPS, 6)


class Windows(FusedView):
    """Base: attention within windows of four steps."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        windows = (torch.unflatten(part, 2, (-1, STEPS)) for part in (query, key, value))
        return self.within(*windows).flatten(2, 3)

    def within(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Mix ``[batch, heads, windows, steps, head size]``."""
        return F.scaled_dot_product_attention(query, key, value)


@case(cut=FUSED, example=windowed)
class HeadsBeforeWindows(Windows):
    """heads before windows, fused attention (NesT, Hiera)"""


@case(cut=FUSED, example=windowed)
class WindowsBeforeHeads(Windows):
    """windows before heads, scores by hand"""

    def within(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        scores = query @ key.transpose(-2, -1) * self.scale.exp()
        return (scores.softmax(-1) @ value).transpose(1, 2)


@case(cut=FUSED, example=windowed)
class ScaledWindows(Windows):
    """heads before windows, scores by hand with a scale per head and a bias that all windows share"""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(self.num_heads, 1, STEPS, STEPS))

    def within(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-2, -1) * self.scale[:, None].exp() + self.bias
        return scores.softmax(-1) @ value


@case(cut=("inward", "query", "pair", "out", "wide"), example=windowed)
class SharedWindowKeys(Windows):
    """two query heads share one head of keys and values in every window"""

    def project(self) -> None:
        width = self.num_heads * self.head_dim
        self.query, self.pair = nn.Linear(WIDTH, width), nn.Linear(WIDTH, width)

    def split(self, x: Tensor) -> Any:
        query = self.query(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        key, value = self.pair(x).unflatten(-1, (2, -1, self.head_dim)).permute(2, 0, 3, 1, 4)
        return query, key, value

    def within(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return super().within(query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1))


@case(cut=FUSED, example=sequences)
class ConvolvedValues(FusedView):
    """values also go through depthwise convolutions of two lengths, some heads through each, and meet queries (CoAT)"""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [HEAD_SIZE, 3 * HEAD_SIZE]
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, size, padding=size // 2, groups=width)
            for width, size in zip(self.parts, (3, 5), strict=True)
        )

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, steps, size = value.shape
        parts = torch.split(value.transpose(2, 3).reshape(batch, heads * size, steps), self.parts, 1)
        near = torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], 1)
        near = near.reshape(batch, heads, size, steps).transpose(2, 3)
        return super().attend(query, key, value) + query * near


@case(cut=("stem", "value", "weights", "out", "last"), example=images)
class Outlook(nn.Module):
    """a linear layer gives the weights of the values around each pixel, which are taken out and summed again (VOLO)"""

    around, heads = 3, 3

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.value, self.out = nn.Conv2d(3, WIDTH, 1), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.num_heads, self.weights = self.heads, nn.Linear(WIDTH, self.heads * self.around**4)
        self.last, self.head = nn.Linear(WIDTH, 20), nn.Linear(20, CLASSES)

    def mixed(self, x: Tensor) -> Tensor:
        """Mix the values [batch, rows, columns, width] around each pixel, by head."""
        batch, rows, columns, width = x.shape
        window, pixels = self.around**2, rows * columns
        values = F.unfold(self.value(x).permute(0, 3, 1, 2), self.around, padding=1)
        values = values.reshape(batch, self.num_heads, width // self.num_heads, window, pixels).permute(0, 1, 4, 3, 2)
        weights = self.weights(x).reshape(batch, pixels, self.num_heads, window, window).transpose(1, 2)
        seen = (weights.softmax(-1) @ values).permute(0, 1, 4, 3, 2).reshape(batch, width * window, pixels)
        return F.fold(seen, (rows, columns), self.around, padding=1).permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x).permute(0, 2, 3, 1)
        x = x + self.out(self.mixed(x))
        return self.head(self.last(x).relu().mean((1, 2)))
