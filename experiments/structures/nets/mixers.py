"""Layers that mix positions, which channels pass along another axis, and attention with one row of scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images

WIDTH, PATCHES = 9, 16


def mlp(inputs: int, hidden: int) -> nn.Sequential:
    """Two layers, as wide at the end as at the start."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, inputs))


class Patched(nn.Module):
    """Base: patches of a picture as [batch, patches, width], blocks by the heir, mean, linear head."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 2, 2)
        self.blocks = nn.ModuleList(map(nn.ModuleDict, self.parts()))
        self.head = nn.Linear(WIDTH, CLASSES)

    def parts(self) -> Iterable[dict[str, nn.Module]]:
        raise NotImplementedError

    def block(self, x: Tensor, part: Any) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for part in self.blocks:
            x = self.block(x, part)
        return self.head(x.mean(1))


@case(
    cut=("patches", "blocks.0.over_patches.0", "blocks.0.over_width.0", "blocks.0.over_width.2"),
    whole=("blocks.0.over_patches.2", "blocks.1.over_patches.2"),
)
class PatchMixer(Patched):
    """MLP-Mixer: one MLP mixes patches, every channel by itself, the next one channels"""

    def parts(self) -> Iterable[dict[str, nn.Module]]:
        for _ in range(self.depth):
            yield {
                **{"first": nn.LayerNorm(WIDTH), "over_patches": mlp(PATCHES, 7)},
                **{"second": nn.LayerNorm(WIDTH), "over_width": mlp(WIDTH, 10)},
            }

    def block(self, x: Tensor, part: Any) -> Tensor:
        x = x + part["over_patches"](part["first"](x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + part["over_width"](part["second"](x))
        return mixed


@case(cut=("patches", "blocks.0.over_width.0"), whole=("blocks.0.over_patches", "blocks.1.over_patches"))
class ScaledPatchMixer(Patched):
    """ResMLP: patches mixed by one layer, what it makes scaled by channel; scale and shift in place of norms"""

    def parts(self) -> Iterable[dict[str, nn.Module]]:
        for _ in range(self.depth):
            scales = nn.ParameterList([nn.Parameter(torch.rand(WIDTH) + 0.5) for _ in range(2)])
            yield {"over_patches": nn.Linear(PATCHES, PATCHES), "scales": scales, "over_width": mlp(WIDTH, 10)}

    def block(self, x: Tensor, part: Any) -> Tensor:
        before, behind = part["scales"]
        x = x + behind * part["over_patches"]((before * x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + part["over_width"](x)
        return mixed


@case(
    cut=("patches", "blocks.0.wide", "blocks.1.wide", "blocks.0.narrow"),
    whole=("blocks.0.over_patches", "blocks.1.over_patches"),
)
class GatedByPatches(Patched):
    """gMLP: half of the channels, mixed over patches, is the gate of the other half"""

    def parts(self) -> Iterable[dict[str, nn.Module]]:
        for _ in range(self.depth):
            yield {
                **{"wide": nn.Linear(WIDTH, 24), "norm": nn.LayerNorm(12)},
                **{"over_patches": nn.Linear(PATCHES, PATCHES), "narrow": nn.Linear(12, WIDTH)},
            }

    def block(self, x: Tensor, part: Any) -> Tensor:
        stay, gate = F.gelu(part["wide"](x)).chunk(2, -1)
        gate = part["over_patches"](part["norm"](gate).transpose(-1, -2)).transpose(-1, -2)
        mixed: Tensor = x + part["narrow"](stay * gate)
        return mixed


@case(cut=("patches", "blocks.0.wide", "blocks.8.narrow"), whole=("blocks.0.over_patches", "blocks.8.over_patches"))
class DeepGatedByPatches(GatedByPatches):
    """the same so often that the sums of its stream are sources of their own"""

    depth = 9


@case(cut=("patches", "blocks.0.over_patches.0", "blocks.1.over_width.0"), whole=("blocks.1.over_patches.2",))
class PatchesAsChannels(PatchMixer):
    """the same with convolutions of size one over the patches, which take patches for channels"""

    def parts(self) -> Iterable[dict[str, nn.Module]]:
        for part in super().parts():
            over = nn.Sequential(nn.Conv1d(PATCHES, 7, 1), nn.GELU(), nn.Conv1d(7, PATCHES, 1))
            yield {**part, "over_patches": over}

    def block(self, x: Tensor, part: Any) -> Tensor:
        x = x + part["over_patches"](part["first"](x))
        mixed: Tensor = x + part["over_width"](part["second"](x))
        return mixed


@case(cut=("last",), whole=("patches", "over_patches"))
class MixedThenFlattened(nn.Module):
    """patches mixed to fewer, then all entries of all channels go into one layer: each is of both"""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.over_patches = nn.Conv2d(3, WIDTH, 2, 2), nn.Linear(PATCHES, 5)
        self.last, self.head = nn.Linear(5 * WIDTH, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.over_patches(self.patches(x).flatten(2)))
        return self.head(torch.relu(self.last(x.flatten(1))))


@case(cut=("stem", "projection"), example=images)
class SharedScores(Headed):
    """separable attention: one channel of scores weighs the keys, their sum multiplies the values (MobileViT 2)"""

    def __init__(self) -> None:
        super().__init__(WIDTH)
        self.width, self.stem = WIDTH, conv(3, WIDTH)
        self.projection, self.out = conv(WIDTH, 1 + 2 * WIDTH, 1), conv(WIDTH, WIDTH, 1)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        scores, key, value = self.projection(x).split([1, self.width, self.width], dim=1)
        context = (key * scores.flatten(2).softmax(-1).view_as(scores)).sum((2, 3), keepdim=True)
        return x + self.out(torch.relu(value) * context.expand_as(value))
