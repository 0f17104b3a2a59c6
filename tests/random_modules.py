"""The modules that random networks are made of, for sequences [B, C, L] and pictures [B, C, H, W] alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Positions = int
"""Number of dimensions after the channels: 1 for sequences, 2 for pictures."""

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d}
POOLS = {("max", 1): nn.MaxPool1d, ("max", 2): nn.MaxPool2d, ("mean", 1): nn.AvgPool1d, ("mean", 2): nn.AvgPool2d}


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


NORMS: dict[str, Callable[[int, Positions], nn.Module]] = {
    "none": lambda width, positions: nn.Identity(),
    "batch": lambda width, positions: BATCH_NORMS[positions](width),
    "frozen batch": lambda width, positions: BATCH_NORMS[positions](width, affine=False),
    "layer": lambda width, positions: ChannelNorm(width),
    "group": lambda width, positions: nn.GroupNorm(2 - width % 2, width),
    "instance": lambda width, positions: INSTANCE_NORMS[positions](width, affine=True),
    "plain instance": lambda width, positions: INSTANCE_NORMS[positions](width),
}
ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "relu": lambda width: nn.ReLU(),
    "gelu": lambda width: nn.GELU(),
    "sigmoid": lambda width: nn.Sigmoid(),
    "prelu": nn.PReLU,
}


class Mean(nn.Module):
    """The mean over the last dimension."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module, scale: nn.Parameter | None) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, x: Tensor) -> Tensor:
        branch = self.inner(x)
        return x + (branch if self.scale is None else self.scale * branch)


class Concat(nn.Module):
    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], 1)


class Shared(nn.Module):
    def __init__(self, inner: nn.Module, residual: bool) -> None:
        super().__init__()
        self.inner, self.residual = inner, residual

    def forward(self, x: Tensor) -> Tensor:
        once = self.inner(x)
        return self.inner(x + once if self.residual else once)


class Shuffle(nn.Module):
    """Deals the channels out like cards."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        parts = x.view(x.shape[0], self.groups, x.shape[1] // self.groups, *x.shape[2:])
        return parts.transpose(1, 2).reshape(x.shape)


class Gated(nn.Module):
    """One half of the channels times the other."""

    def __init__(self, inner: nn.Module, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        if self.kind == "glu":
            return F.glu(x, 1)
        if self.kind == "chunk":
            value, gate = x.chunk(2, 1)
        else:
            value, gate = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
        return value * torch.sigmoid(gate)


class Excite(nn.Module):
    """Squeeze and excitation: every channel times a share that depends on all of them."""

    def __init__(self, width: int, hidden: int, positions: Positions, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        kind = nn.Linear if linear else lambda one, two: CONVOLUTIONS[positions](one, two, 1)
        self.layers = nn.Sequential(kind(width, hidden), nn.ReLU(), kind(hidden, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(tuple(range(2, x.dim())), keepdim=True)
        if not self.linear:
            return x * self.layers(means)
        shares = self.layers(means.flatten(1))
        return x * shares.view(*shares.shape, *[1] * (x.dim() - 2))


class SplitPaths(nn.Module):
    """One half of the channels goes through, the other through a unit; then both side by side again."""

    def __init__(self, inner: nn.Module, chunk: bool) -> None:
        super().__init__()
        self.inner, self.chunk = inner, chunk

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        kept, changed = x.chunk(2, 1) if self.chunk else (x[:, :half], x[:, half:])
        return torch.cat([kept, self.inner(changed)], 1)


class Placed(nn.Module):
    """Adds a learned vector, or one for every position."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.place


class Tokens(nn.Module):
    """Adds what a module makes of the positions as tokens [B, T, C], normed before."""

    def __init__(self, norm: nn.Module, inner: nn.Module) -> None:
        super().__init__()
        self.norm, self.inner = norm, inner

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return (tokens + self.inner(self.norm(tokens))).transpose(1, 2).reshape(x.shape)


class Packed(nn.MultiheadAttention):
    """PyTorch's attention of tokens to themselves."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, x, x, need_weights=False)[0]


class Attention(nn.Module):
    """Attention by hand: from one fused or three separate projections, fused or written out."""

    def __init__(self, width: int, size: int, heads: int, fused: bool, written: bool) -> None:
        super().__init__()
        self.size, self.written = size, written
        inner = size * heads
        outputs = [3 * inner] if fused else [inner] * 3
        self.inward = nn.ModuleList(nn.Linear(width, output) for output in outputs)
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        projected = [layer(x) for layer in self.inward]
        parts = projected[0].chunk(3, -1) if len(projected) == 1 else projected
        query, key, value = (part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in parts)
        if self.written:
            scores = query @ key.transpose(-2, -1) * self.size**-0.5
            mixed = scores.softmax(-1) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))
