"""Attention in windows as torchvision's Swin and MaxViT have it, with a head size that does not follow the width.

Parameters, their names and the result are those of the originals; instances are made by exchanging a module's class.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

Pair = tuple[int, int]

FORBIDDEN = -100.0
"""What Swin adds to the scores of two positions that are no neighbours in the picture."""


class HeadwiseWindowAttention(ShiftedWindowAttention):  # type: ignore[misc]
    """Swin's attention with ``qkv.out_features / 3 / num_heads`` channels in a head."""

    def forward(self, x: Tensor) -> Tensor:
        """Attend within windows of a picture [batch, height, width, channels]."""
        grid = _Grid(x, self.window_size, self.shift_size)
        windows = grid.windows(x)
        queries, keys, values = (
            part.view(*part.shape[:2], self.num_heads, -1).transpose(1, 2)
            for part in self._projected(windows).chunk(3, -1)
        )
        scores = grid.masked(self._scores(queries, keys) + self.get_relative_position_bias())
        weights = F.dropout(torch.softmax(scores, -1), self.attention_dropout, self.training)
        mixed = F.linear((weights @ values).transpose(1, 2).flatten(2), self.proj.weight, self.proj.bias)
        return grid.picture(F.dropout(mixed, self.dropout, self.training))

    def _projected(self, windows: Tensor) -> Tensor:
        return F.linear(windows, self.qkv.weight, self.qkv.bias)

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        scaled: Tensor = queries * queries.shape[-1] ** -0.5
        return scaled @ keys.transpose(-2, -1)


class HeadwiseWindowAttentionV2(HeadwiseWindowAttention, ShiftedWindowAttentionV2):  # type: ignore[misc]
    """Swin V2's attention: scores are cosines times a scale per head, and keys have no bias."""

    def _projected(self, windows: Tensor) -> Tensor:
        projected, bias = F.linear(windows, self.qkv.weight), self.qkv.bias
        if bias is None:
            return projected
        return torch.addcmul(projected, bias, bias.new_tensor([1.0, 0.0, 1.0]).repeat_interleave(len(bias) // 3))

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        scale: Tensor = self.logit_scale.clamp(max=math.log(100.0)).exp()
        return F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(-2, -1) * scale


class HeadwiseRelativeAttention(RelativePositionalMultiHeadAttention):  # type: ignore[misc]
    """MaxViT's attention with ``n_heads * head_dim`` channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the groups of [batch, groups, positions, channels]."""
        queries, keys, values = (
            part.view(*part.shape[:3], self.n_heads, self.head_dim).transpose(2, 3)
            for part in self.to_qkv(x).chunk(3, -1)
        )
        scores = queries @ (keys * self.scale_factor).transpose(-2, -1) + self.get_relative_positional_bias()
        output: Tensor = self.merge((torch.softmax(scores, -1) @ values).transpose(2, 3).flatten(3))
        return output


class _Grid:
    """How a picture [batch, height, width, channels] is padded, shifted and laid out in windows, and back."""

    def __init__(self, x: Tensor, window: list[int], shift: list[int]) -> None:
        self.batch, height, width, _ = x.shape
        self.size = (height, width)
        self.window: Pair = (window[0], window[1])
        self.padded: Pair = (height + -height % window[0], width + -width % window[1])
        self.shift: Pair = (self._shift(0, shift), self._shift(1, shift))

    def _shift(self, axis: int, shift: list[int]) -> int:
        """Return how far windows are shifted; not at all where one covers the picture."""
        return 0 if self.window[axis] >= self.padded[axis] else shift[axis]

    def windows(self, x: Tensor) -> Tensor:
        """Return the windows as [batch * windows, positions, channels]."""
        x = F.pad(x, (0, 0, 0, self.padded[1] - self.size[1], 0, self.padded[0] - self.size[0]))
        return self._laid_out(self._rolled(x, -1))

    def picture(self, windows: Tensor) -> Tensor:
        """Return the picture that windows came from."""
        down, across = (size // step for size, step in zip(self.padded, self.window, strict=True))
        x = windows.reshape(self.batch, down, across, *self.window, windows.shape[-1])
        x = self._rolled(x.transpose(2, 3).reshape(self.batch, *self.padded, windows.shape[-1]), 1)
        return x[:, : self.size[0], : self.size[1]].contiguous()

    def masked(self, scores: Tensor) -> Tensor:
        """Forbid scores [batch * windows, heads, positions, positions] of what a shift has brought together."""
        if self.shift == (0, 0):
            return scores
        rows, columns = (self._regions(axis, scores) for axis in (0, 1))
        regions = self._laid_out((3 * rows[:, None] + columns)[None, :, :, None]).squeeze(-1)
        apart = regions[:, None, :, None] != regions[:, None, None, :]
        mask = torch.zeros_like(apart, dtype=scores.dtype).masked_fill(apart, FORBIDDEN)
        return (scores.view(self.batch, -1, *scores.shape[1:]) + mask).view(scores.shape)

    def _regions(self, axis: int, like: Tensor) -> Tensor:
        """Number the parts of an axis that a shift has put beside others."""
        place = torch.arange(self.padded[axis], device=like.device)
        if self.shift[axis] == 0:
            return torch.zeros_like(place)
        return (place >= self.padded[axis] - self.window[axis]).long() + (place >= self.padded[axis] - self.shift[axis])

    def _rolled(self, x: Tensor, direction: int) -> Tensor:
        if self.shift == (0, 0):
            return x
        return torch.roll(x, [direction * step for step in self.shift], (1, 2))

    def _laid_out(self, x: Tensor) -> Tensor:
        (height, width), channels = self.window, x.shape[-1]
        x = x.view(x.shape[0], x.shape[1] // height, height, x.shape[2] // width, width, channels)
        return x.transpose(2, 3).reshape(-1, height * width, channels)
