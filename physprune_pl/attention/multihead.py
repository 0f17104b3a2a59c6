"""PyTorch's own multi-head attention with a head size of its own, so that it works with any number of heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HeadwiseAttention(nn.MultiheadAttention):
    """``nn.MultiheadAttention`` whose width is ``num_heads * head_dim``, whatever the width of its input.

    Parameters and their names are those of the original, and so is the result; the fast path, which derives the head
    size from the width of the input, is off. It is made by exchanging the class of an existing module.
    """

    @property
    def _qkv_same_embed_dim(self) -> bool:
        # The layers around it ask this before they take the fast path.
        return False

    @_qkv_same_embed_dim.setter
    def _qkv_same_embed_dim(self, _value: bool) -> None:
        return

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as ``nn.MultiheadAttention`` does, see there for arguments and results."""
        if is_causal and attn_mask is None:
            raise ValueError("attn_mask: expected a mask together with is_causal=True, got None")
        single = query.dim() == 2
        swap = not self.batch_first and not single
        queries, keys, values = self._projected(query, key, value, single, swap)
        mask = self._mask(attn_mask, key_padding_mask, keys.shape[-2], queries.dtype)
        mixed, weights = self._attended(queries, keys, values, mask, need_weights)
        output = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights.squeeze(0) if single else weights
        return output.squeeze(0) if single else output.transpose(0, 1) if swap else output, weights

    def _projected(
        self, query: Tensor, key: Tensor, value: Tensor, single: bool, swap: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values as [batch, heads, tokens, head size]."""

        def ordered(tensor: Tensor) -> Tensor:
            return tensor.unsqueeze(0) if single else tensor.transpose(0, 1) if swap else tensor

        given = (ordered(query), ordered(key), ordered(value))
        if self.in_proj_weight is not None and query is key and key is value:
            parts = F.linear(given[0], self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        else:
            parts = tuple(map(F.linear, given, *self._separate()))
        extended = (parts[0], self._extended(parts[1], self.bias_k), self._extended(parts[2], self.bias_v))
        queries, keys, values = (
            part.view(*part.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for part in extended
        )
        return queries, keys, values

    def _separate(self) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
        """Return the weights and the biases of queries, keys and values."""
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        if self.in_proj_weight is not None:
            return self.in_proj_weight.chunk(3), biases
        return (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight), biases

    def _extended(self, tokens: Tensor, extra: Tensor | None) -> Tensor:
        """Append the learned token and the token of zeros, where there are such."""
        if extra is not None:
            tokens = torch.cat([tokens, extra.expand(tokens.shape[0], -1, -1)], 1)
        return F.pad(tokens, (0, 0, 0, 1)) if self.add_zero_attn else tokens

    def _mask(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, keys: int, dtype: torch.dtype
    ) -> Tensor | None:
        """Return what is added to the scores, to be broadcast to [batch, heads, queries, keys]."""
        if attn_mask is not None and attn_mask.dim() == 3:
            attn_mask = attn_mask.view(-1, self.num_heads, *attn_mask.shape[1:])
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.reshape(-1, 1, 1, key_padding_mask.shape[-1])
        given = [_additive(mask, dtype) for mask in (attn_mask, key_padding_mask) if mask is not None]
        if not given:
            return None
        mask = given[0] if len(given) == 1 else given[0] + given[1]
        return F.pad(mask, (0, keys - mask.shape[-1]))

    def _attended(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        dropout = self.dropout if self.training else 0.0
        if not need_weights:
            return F.scaled_dot_product_attention(queries, keys, values, mask, dropout), None
        scores = (queries * self.head_dim**-0.5) @ keys.transpose(-2, -1)
        weights = F.dropout(torch.softmax(scores if mask is None else scores + mask, -1), dropout)
        return weights @ values, weights


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask as numbers: minus infinity where a boolean one forbids to look."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, float("-inf"))
