"""Attention modules whose heads can be cut: what they remember of their heads, and classes that take any number."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from physprune_pl.attention.head_sizes import HeadSizes, by_head, register_attention, remembered
from physprune_pl.attention.multihead import HeadwiseAttention

__all__ = ["HeadSizes", "HeadwiseAttention", "by_head", "register_attention", "remembered", "traceable"]


def _window(name: str) -> Callable[[], type[nn.Module]]:
    """Return what gives a class for torchvision's windows: imported only where torchvision's are in use."""

    def imported() -> type[nn.Module]:
        from physprune_pl.attention import windows

        kind: type[nn.Module] = getattr(windows, name)
        return kind

    return imported


_TORCH = HeadSizes(
    rows=("in_proj_weight", "q_proj_weight"),
    counts=("num_heads",),
    widths={"embed_dim": ("out_proj.weight", 0), "kdim": ("k_proj_weight", 1), "vdim": ("v_proj_weight", 1)},
    stand_in=lambda: HeadwiseAttention,
)
_KNOWN = {
    "torch.nn.modules.activation.MultiheadAttention": _TORCH,
    "physprune_pl.attention.multihead.HeadwiseAttention": _TORCH,
    "torch.nn.modules.transformer.TransformerEncoder": HeadSizes(
        # Nested tensors are for layers whose fast path is on.
        rows=("layers.0.self_attn.out_proj.weight",),
        counts=(),
        fixed={"use_nested_tensor": False},
    ),
    "torch.nn.modules.transformer.Transformer": HeadSizes(
        rows=("encoder.layers.0.linear2.weight",), counts=(), widths={"d_model": ("encoder.layers.0.linear2.weight", 0)}
    ),
    "torchvision.models.vision_transformer.VisionTransformer": HeadSizes(
        rows=("conv_proj.weight",), counts=(), widths={"hidden_dim": ("conv_proj.weight", 0)}
    ),
    "timm.layers.pos_embed_rel.RelPosBias": HeadSizes(
        rows=("relative_position_bias_table",),
        counts=(),
        entries={"bias_shape": (2, "relative_position_bias_table", 1)},
    ),
    "timm.layers.pos_embed_rel.RelPosBiasTf": HeadSizes(
        rows=("relative_position_bias_table",),
        counts=("num_heads",),
        entries={"bias_shape": (0, "relative_position_bias_table", 0)},
    ),
    "timm.layers.pos_embed_rel.RelPosMlp": HeadSizes(
        rows=("mlp.fc2.weight",), counts=("num_heads",), entries={"bias_shape": (2, "mlp.fc2.weight", 0)}
    ),
}
_WINDOWS = {
    "torchvision.models.swin_transformer.ShiftedWindowAttention": "HeadwiseWindowAttention",
    "torchvision.models.swin_transformer.ShiftedWindowAttentionV2": "HeadwiseWindowAttentionV2",
    "torchvision.models.maxvit.RelativePositionalMultiHeadAttention": "HeadwiseRelativeAttention",
}
for _name, _ours in _WINDOWS.items():
    _sizes = HeadSizes(("qkv.weight", "to_qkv.weight"), ("num_heads", "n_heads"), stand_in=_window(_ours))
    _KNOWN |= {_name: _sizes, f"physprune_pl.attention.windows.{_ours}": _sizes}
for _name, _sizes in _KNOWN.items():
    register_attention(_name, _sizes)
