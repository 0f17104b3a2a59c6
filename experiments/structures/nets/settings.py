"""Sizes in settings: a dataclass that several layers share, a named tuple, what a number leaves of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, sequences, tokens


@dataclass
class Settings:
    """What all layers of a language model are built from."""

    width: int = 16
    heads: int = 4
    words: int = 20


class SettingsAttention(nn.Module):
    """Attention that reads its number of heads from the settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.triple, self.out = nn.Linear(settings.width, 3 * settings.width), nn.Linear(settings.width, settings.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, width = x.shape
        heads = self.settings.heads
        parts = self.triple(x).split(self.settings.width, dim=2)
        query, key, value = (part.view(batch, steps, heads, width // heads).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        y: Tensor = self.out(mixed.transpose(1, 2).contiguous().view(batch, steps, width))
        return x + y


@case(cut=("blocks.0.triple", "blocks.1.triple", "wide"), example=tokens)
class SharedSettings(nn.Module):
    """number of heads and width in one dataclass that all layers hold; the table of words is the last layer, turned"""

    def __init__(self) -> None:
        super().__init__()
        settings = Settings()
        self.table = nn.Embedding(settings.words, settings.width)
        self.blocks = nn.ModuleList(SettingsAttention(settings) for _ in range(2))
        self.wide, self.narrow = nn.Linear(settings.width, 20), nn.Linear(20, settings.width)

    def forward(self, x: Tensor) -> Any:
        x = self.table(x)
        for block in self.blocks:
            x = block(x)
        x = x + self.narrow(F.gelu(self.wide(x)))
        return x @ self.table.weight.t()


class Widths(NamedTuple):
    """Of queries, keys and values."""

    query: int
    key: int
    value: int


@case(cut=("inward", "triple", "out"), example=sequences)
class NamedWidths(nn.Module):
    """split sizes in a named tuple, values wider than queries and keys"""

    def __init__(self) -> None:
        super().__init__()
        self.widths, self.heads = Widths(8, 8, 12), 2
        self.inward, self.triple, self.out = nn.Linear(6, 12), nn.Linear(12, sum(self.widths)), nn.Linear(12, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        parts = zip(self.triple(x).split(list(self.widths), dim=-1), self.widths, strict=True)
        query, key, value = (
            part.reshape(*x.shape[:2], self.heads, width // self.heads).transpose(1, 2) for part, width in parts
        )
        mixed = (query @ key.mT / 2).softmax(-1) @ value
        return self.head((x + self.out(mixed.transpose(1, 2).reshape(*x.shape[:2], self.widths.value))).mean(1))


@case(cut=("stem", "few", "last"))
class RestOfWidth(Headed):
    """some channels through a convolution, the rest as they are: a size is the difference of two numbers (FasterNet)"""

    def __init__(self) -> None:
        super().__init__(12)
        self.width, self.some = 12, 4
        self.stem, self.few, self.last = conv(3, 12), conv(4, 4), conv(12, 12)

    def features(self, x: Tensor) -> Any:
        x = torch.relu(self.stem(x))
        some, rest = torch.split(x, [self.some, self.width - self.some], dim=1)
        return torch.relu(self.last(torch.cat([self.few(some), rest], 1)))
