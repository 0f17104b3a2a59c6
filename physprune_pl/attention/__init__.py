"""Attention modules whose heads can be cut: what they remember of their heads, and classes that take any number."""

from torch import nn

from physprune_pl.attention.multihead import HeadwiseAttention
from physprune_pl.attention.registry import HeadSizes, by_head, register_attention, remembered

__all__ = ["HeadSizes", "HeadwiseAttention", "by_head", "register_attention", "remembered"]

MULTIHEAD = HeadSizes(
    rows=("in_proj_weight", "q_proj_weight"),
    counts=("num_heads",),
    widths={
        "embed_dim": ("out_proj.weight", 0),
        "kdim": ("k_proj_weight", 1),
        "vdim": ("v_proj_weight", 1),
    },
    stand_in=lambda: HeadwiseAttention,
)
for _kind in (nn.MultiheadAttention, HeadwiseAttention):
    register_attention(_kind, MULTIHEAD)
register_attention(
    nn.TransformerEncoder,
    # Nested tensors are for layers whose fast path is on.
    HeadSizes(rows=("layers.0.self_attn.out_proj.weight",), counts=(), fixed={"use_nested_tensor": False}),
)
register_attention(
    "torchvision.models.vision_transformer.VisionTransformer",
    HeadSizes(rows=("conv_proj.weight",), counts=(), widths={"hidden_dim": ("conv_proj.weight", 0)}),
)
