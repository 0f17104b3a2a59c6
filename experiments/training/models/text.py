"""A small transformer encoder for sentences, written out plainly.

Shape legend: B sentences of a batch, L tokens of the longest one, W width of the residual stream, H heads of S numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PADDING = 0


class SelfAttention(nn.Module):
    """Every token reads the real tokens of its sentence, ``heads`` times, through ``head_size`` numbers each.

    The size of the heads is an argument of its own, so that attention may be narrower than the residual stream.
    """

    def __init__(self, width: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads, self.head_size = heads, head_size
        inner = heads * head_size
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(self, stream: Tensor, real: Tensor | None = None) -> Tensor:
        """Map [B, L, W] to [B, L, W]; ``real`` bool [B, L] is False where a token is padding, None: nowhere."""
        query, key, value = (self._by_head(layer(stream)) for layer in (self.query, self.key, self.value))
        mask = None if real is None else real[:, None, None, :]
        read = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return mixed

    def _by_head(self, values: Tensor) -> Tensor:
        """Map [B, L, H * S] to [B, H, L, S]."""
        return values.view(*values.shape[:2], self.heads, self.head_size).transpose(1, 2)


class EncoderBlock(nn.Module):
    """Attention, then a two-layer network for every token by itself, each normalised first and added to the stream."""

    def __init__(self, width: int, heads: int, head_size: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), SelfAttention(width, heads, head_size)
        self.widen_norm, self.widen = nn.LayerNorm(width), nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: Tensor, real: Tensor | None = None) -> Tensor:
        """Map [B, L, W] to [B, L, W]; ``real`` as the attention takes it."""
        stream = stream + self.dropout(self.attention(self.attention_norm(stream), real))
        widened = nn.functional.gelu(self.widen(self.widen_norm(stream)))
        added: Tensor = stream + self.dropout(self.narrow(widened))
        return added


class TextEncoder(nn.Module):
    """Class scores of sentences: learned embeddings of words and places, blocks, and the mean over the real tokens.

    Every sentence needs at least one token that is not padding; how much padding follows makes no difference.

    Args:
        words: number of token ids; id 0 is padding.
        length: tokens of the longest sentence.
        classes: number of classes.
        width: of the residual stream.
        depth: number of blocks.
        heads: of every attention.
        head_size: numbers that a head reads of a token.
        expansion: width of the two-layer networks, as a multiple of ``width``.
        dropout: share of zeros, while training, in the embeddings and in what a block adds.

    Raises:
        ValueError: when a size is under 1.

    Source: Vaswani et al., arXiv:1706.03762; norms first as in Xiong et al., arXiv:2002.04745.
    """

    def __init__(
        self,
        words: int,
        length: int,
        classes: int,
        *,
        width: int,
        depth: int,
        heads: int,
        head_size: int,
        expansion: int,
        dropout: float,
    ) -> None:
        sizes = {"width": width, "depth": depth, "heads": heads, "head_size": head_size, "expansion": expansion}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        super().__init__()
        self.word = nn.Embedding(words, width)
        self.place = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, head_size, expansion, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        for table in (self.word, self.place):
            nn.init.normal_(table.weight, std=width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids, integers [B, L], to class scores [B, classes].

        Raises:
            ValueError: when the sentences are longer than the network has places.
        """
        if tokens.shape[1] > self.place.num_embeddings:
            raise ValueError(f"tokens: expected at most {self.place.num_embeddings} a sentence, got {tokens.shape[1]}")
        real = tokens != PADDING
        places = torch.arange(tokens.shape[1], device=tokens.device)
        stream = self.dropout(self.word(tokens) + self.place(places))
        for block in self.blocks:
            stream = block(stream, real)
        share = real[..., None] / real.sum(dim=1)[:, None, None]
        scores: Tensor = self.head((self.norm(stream) * share).sum(dim=1))
        return scores


def text_encoder(
    shape: tuple[int, ...],
    classes: int,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    head_size: int = 8,
    expansion: int = 8,
    dropout: float = 0.1,
) -> TextEncoder:
    """Transformer encoder for sentences of shape (longest length, number of token ids).

    The two-layer networks hold most of the MACs, 84 % with these sizes and 64 tokens. They can be cut
    exactly, and so can whole heads. 665,922 parameters at 8,002 token ids, most of them embeddings.

    Raises:
        ValueError: for data that are no sentences, or when a size is under 1.
    """
    if len(shape) != 2:
        raise ValueError(
            "model=text_encoder needs sentences (longest length, number of token ids), the examples of data have "
            f"{shape}; choose data=sst2, or another model"
        )
    length, words = shape
    sizes = {"width": width, "depth": depth, "heads": heads, "head_size": head_size, "expansion": expansion}
    return TextEncoder(words, length, classes, dropout=dropout, **sizes)
