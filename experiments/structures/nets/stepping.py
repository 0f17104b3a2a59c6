"""Sizes that code reads from one tensor and asks of another: what they are of can only shrink in step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, case, sequences

WIDTH, HEADS = 12, 4
JOINED = ("inward", "triple", "out", "wide")


class WidthKept(nn.Module):
    """Base: linear layer, attention whose size is the stream's width, an MLP, linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads = HEADS
        self.inward, self.out = nn.Linear(6, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow, self.head = nn.Linear(WIDTH, 20), nn.Linear(20, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.project()

    def project(self) -> None:
        """Make the layers for queries, keys and values."""
        self.triple = nn.Linear(WIDTH, 3 * WIDTH)

    def attend(self, x: Tensor) -> Any:
        batch, tokens, width = x.shape
        query, key, value = (
            self.triple(x).reshape(batch, tokens, 3, self.n_heads, width // self.n_heads).permute(2, 0, 3, 1, 4)
        )
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, tokens, width)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.out(self.attend(x))
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=JOINED, example=sequences)
class ReshapedToStream(WidthKept):
    """after attention a reshape to the width of the stream: heads and stream go in step"""


@case(cut=JOINED, example=sequences)
class HeadSizeOfStream(WidthKept):
    """the size of a head is the width of the stream divided by the number of heads, in forward"""

    def attend(self, x: Tensor) -> Any:
        head_size = x.size(-1) // self.n_heads
        parts = (
            part.view(*x.shape[:-1], self.n_heads, head_size).transpose(1, 2) for part in self.triple(x).chunk(3, 2)
        )
        return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


@case(cut=("inward", "query", "pair", "out", "wide"), example=sequences)
class SharedKeysOfStream(WidthKept):
    """the same where two heads of queries share one of keys and values"""

    def project(self) -> None:
        self.groups, self.query, self.pair = 2, nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def attend(self, x: Tensor) -> Any:
        batch, tokens, width = x.shape
        size = width // self.n_heads
        query = self.query(x).view(batch, tokens, self.n_heads, size).transpose(1, 2)
        key, value = self.pair(x).view(batch, tokens, 2, self.groups, size).permute(2, 0, 3, 1, 4).unbind(0)
        return (
            F.scaled_dot_product_attention(query, key, value, enable_gqa=True)
            .transpose(1, 2)
            .reshape(batch, tokens, width)
        )


@case(cut=JOINED, example=sequences)
class ScoresOfChannels(WidthKept):
    """attention between the channels of a head (XCiT), a temperature per head, reshaped to the stream's width"""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))

    def attend(self, x: Tensor) -> Any:
        batch, tokens, width = x.shape
        query, key, value = (
            self.triple(x).reshape(batch, tokens, 3, self.n_heads, width // self.n_heads).permute(2, 0, 3, 4, 1)
        )
        scores = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1) * self.temperature
        return (scores.softmax(-1) @ value).permute(0, 3, 1, 2).reshape(batch, tokens, width)


@case(cut=("inward", "triple", "out", "wide"), either=("before", "after"), example=sequences)
class TalkingHeads(WidthKept):
    """linear layers mix the scores of all heads, before softmax and after (CaiT)"""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(HEADS, HEADS), nn.Linear(HEADS, HEADS)

    def attend(self, x: Tensor) -> Any:
        batch, tokens, width = x.shape
        query, key, value = (
            self.triple(x).reshape(batch, tokens, 3, self.n_heads, width // self.n_heads).permute(2, 0, 3, 1, 4)
        )
        scores = self.before((query @ key.transpose(-2, -1)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).softmax(-1)
        scores = self.after(scores.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return (scores @ value).transpose(1, 2).reshape(batch, tokens, width)


@case(cut=("inward", "first.triple", "second.triple", "wide"), example=sequences)
class TwoCountsOfHeads(nn.Module):
    """four heads in one block and two in the next, both as wide as the stream: it shrinks by halves"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.first, self.second = nn.Linear(6, WIDTH), WidthKept(), WidthKept()
        self.second.n_heads = 2
        self.wide, self.narrow, self.head = nn.Linear(WIDTH, 20), nn.Linear(20, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        for block in (self.first, self.second):
            x = x + block.out(block.attend(x))
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


@case(cut=("inward", "other", "wide"), example=sequences)
class SplitAtHalf(WidthKept):
    """channels are split at half of the width that they have"""

    def project(self) -> None:
        self.other = nn.Linear(WIDTH // 2, WIDTH // 2)

    def attend(self, x: Tensor) -> Any:
        half = x.shape[-1] // 2
        return torch.cat([x[..., :half], self.other(x[..., half:])], -1)


@case(cut=("inward", "below", "above", "out", "wide"), example=sequences)
class OneNumberTwice(WidthKept):
    """one attribute is the width of two layers, which nothing else couples"""

    def project(self) -> None:
        self.size = WIDTH
        self.below, self.above = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def attend(self, x: Tensor) -> Any:
        below = self.below(x).relu().view(*x.shape[:2], self.size)
        return self.above(below).reshape(-1, self.size).view(x.shape[0], x.shape[1], -1)


@case(cut=("inward", "maker", "wide"), example=sequences)
class WidthOfAnother(WidthKept):
    """a second tensor is reshaped to as many channels as the stream has, and joins it nowhere"""

    def project(self) -> None:
        self.maker, self.reader = nn.Linear(6, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Any:
        stream = self.inward(x)
        batch, tokens, width = stream.shape
        other = self.reader(self.maker(x).reshape(batch * tokens, width)).view(batch, tokens, -1)
        return self.head((other + self.narrow(torch.relu(self.wide(torch.tanh(stream))))).mean(1))


@case(cut=("inward", "wide"), whole=("triple",), example=sequences)
class OutFirstHeadsFixed(WidthKept):
    """the output projection is a module's first matrix, and heads cannot go: their number must not follow the stream"""

    def __init__(self) -> None:
        super().__init__()
        self.attention = _FixedHeads(self.triple, self.out)

    def attend(self, x: Tensor) -> Any:
        return self.attention(x)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        x = x + self.attend(x)
        return self.head((x + self.narrow(torch.relu(self.wide(x)))).mean(1))


class _FixedHeads(nn.Module):
    """Attention that knows where queries, keys and values lie as numbers, and computes with its number of heads."""

    def __init__(self, triple: nn.Linear, out: nn.Linear) -> None:
        super().__init__()
        self.num_heads, self.out, self.triple = HEADS, out, triple

    def forward(self, x: Tensor) -> Any:
        size = WIDTH // HEADS
        ends = [place * self.num_heads * size for place in range(4)]
        joined = self.triple(x)
        parts = (
            joined[..., start:end].view(*x.shape[:2], HEADS, size).transpose(1, 2) for start, end in pairwise(ends)
        )
        return self.out(F.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(*x.shape[:2], WIDTH))
