"""A patch transformer for series, written out plainly.

Shape legend: B windows of a batch, L hours seen, V variables, H hours forecast, N patches of a window, W width of the
residual stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.training.models.text import EncoderBlock

# Keeps a variable that does not change within a window from being divided by zero.
STILL = 1e-5


class PatchTransformer(nn.Module):
    """Forecasts every variable from its own past, cut into patches that attend to each other.

    A window is scaled to mean 0 and deviation 1, variable by variable, and its forecast scaled back. All variables
    share one network.

    Args:
        seen: hours of a window, L.
        horizon: hours of a forecast, H.
        width: of the residual stream.
        depth: number of blocks.
        heads: of every attention.
        head_size: numbers that a head reads of a patch.
        expansion: width of the two-layer networks, as a multiple of ``width``.
        patch: hours of a patch.
        stride: hours between the starts of two patches.
        dropout: share of zeros, while training, in what a block adds.

    Raises:
        ValueError: when a size is under 1, or a patch longer than a window.

    Source: Nie et al., A Time Series is Worth 64 Words, arXiv:2211.14730; scaling of Kim et al., Reversible Instance
    Normalization, ICLR 2022, without its learned scale.
    """

    def __init__(
        self,
        seen: int,
        horizon: int,
        *,
        width: int,
        depth: int,
        heads: int,
        head_size: int,
        expansion: int,
        patch: int,
        stride: int,
        dropout: float,
    ) -> None:
        sizes = {"width": width, "depth": depth, "heads": heads, "head_size": head_size, "expansion": expansion}
        for name, size in {**sizes, "patch": patch, "stride": stride}.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if patch > seen:
            raise ValueError(f"patch: expected at most the {seen} hours of a window, got {patch}")
        super().__init__()
        self.patch, self.stride = patch, stride
        count = (seen - patch) // stride + 1
        self.embed = nn.Linear(patch, width)
        self.place = nn.Parameter(torch.randn(count, width) * 0.02)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, head_size, expansion, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(count * width, horizon)

    def forward(self, window: Tensor) -> Tensor:
        """Map windows [B, L, V] to forecasts [B, H, V]."""
        series = window.transpose(1, 2)
        mean, deviation = series.mean(dim=2, keepdim=True), series.std(dim=2, keepdim=True, correction=0) + STILL
        patches = ((series - mean) / deviation).unfold(2, self.patch, self.stride).flatten(0, 1)
        stream = self.embed(patches) + self.place
        for block in self.blocks:
            stream = block(stream)
        forecast: Tensor = self.head(self.norm(stream).flatten(1)).unflatten(0, series.shape[:2])
        return (forecast * deviation + mean).transpose(1, 2)


def patch_transformer(
    shape: tuple[int, ...],
    horizon: int,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    head_size: int = 16,
    expansion: int = 4,
    patch: int = 16,
    stride: int = 8,
    dropout: float = 0.2,
) -> PatchTransformer:
    """Patch transformer for windows of shape (hours seen, variables); 352,544 parameters at 336 and 96 hours.

    Raises:
        ValueError: when a size is under 1, or a patch longer than a window.
    """
    sizes = {"width": width, "depth": depth, "heads": heads, "head_size": head_size, "expansion": expansion}
    return PatchTransformer(shape[0], horizon, patch=patch, stride=stride, dropout=dropout, **sizes)
