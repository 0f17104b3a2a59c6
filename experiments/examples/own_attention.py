"""An attention module of one's own is cut by whole heads, once it is said how it remembers them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physprune_pl import apply_plan, plan_pruning
from physprune_pl.attention import HeadSizes, register_attention


class FusedAttention(nn.Module):
    """Query, key and value come from one projection; the number of heads is kept under a name of its own."""

    def __init__(self, width: int = 32, heads: int = 8) -> None:
        super().__init__()
        self.how_many = heads
        self.to_all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, words: Tensor) -> Tensor:
        """Attend, [batch, length, width]."""
        batch, length, _ = words.shape
        query, key, value = self.to_all(words).view(batch, length, 3, self.how_many, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return words + torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))


# The rows of to_all follow the heads, and so does the attribute how_many.
register_attention(FusedAttention, HeadSizes(rows=("to_all.weight",), counts=("how_many",)))


class Encoder(nn.Module):
    """Words to attention to classes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.words, self.attention, self.head = nn.Embedding(50, width), FusedAttention(width), nn.Linear(width, 4)

    def forward(self, ids: Tensor) -> Tensor:
        """Return one score per class, [batch, 4]."""
        return torch.as_tensor(self.head(self.attention(self.words(ids)).mean(1)))


def main() -> Encoder:
    """Keep 60 % of the MACs of an encoder, and return it."""
    model, sentence = Encoder(), torch.randint(50, (2, 12))
    plan = plan_pruning(model, sentence, target={"macs": 0.6})
    for cut in plan.groups:
        print(f"{cut.name}: {cut.before} -> {cut.after}")
    apply_plan(model, plan)
    return model


if __name__ == "__main__":
    print(f"heads left: {main().attention.how_many}")
