"""Networks for pictures, as people write them by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from experiments.zoo.network import CLASSES


class MixerBlock(nn.Module):
    """A network over the patches of every channel, then one over the channels of every patch."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.before_patches, self.before_channels = nn.LayerNorm(width), nn.LayerNorm(width)
        self.over_patches = nn.Sequential(nn.Linear(patches, 2 * patches), nn.GELU(), nn.Linear(2 * patches, patches))
        self.over_channels = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_patches(self.before_patches(x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + self.over_channels(self.before_channels(x))
        return mixed


class Mixer(nn.Module):
    """MLP-Mixer: linear layers only, over patches and over channels in turn."""

    def __init__(self, pixels: int = 32, patch: int = 8, width: int = 48, depth: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(*(MixerBlock((pixels // patch) ** 2, width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, pictures: Tensor) -> Any:
        tokens = self.patches(pictures).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(tokens)).mean(1))


class Critic(nn.Module):
    """The judge of a generative pair: strided convolutions, every one behind a norm of its weights."""

    def __init__(self, norm: Callable[[nn.Module], nn.Module], width: int = 24) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for one, other in pairwise(widths):
            layers += [norm(nn.Conv2d(one, other, 3, padding=1)), nn.LeakyReLU(0.1)]
            layers += [norm(nn.Conv2d(other, other, 4, 2, 1)), nn.LeakyReLU(0.1)]
        self.features = nn.Sequential(*layers)
        self.head = norm(nn.Linear(4 * width * 16, CLASSES))

    def forward(self, pictures: Tensor) -> Any:
        return self.head(self.features(pictures).flatten(1))


class ChannelGate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, width // 4), nn.Linear(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class PartlyScripted(nn.Module):
    """Convolutions around a part that is compiled ahead of time, into which Python cannot look."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(*self._unit(3, width), *self._unit(width, width))
        self.gate = scripted(ChannelGate(width))
        self.body = nn.Sequential(*self._unit(width, width), *self._unit(width, 2 * width), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(2 * width, CLASSES)

    @staticmethod
    def _unit(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()

    def forward(self, pictures: Tensor) -> Any:
        return self.head(self.body(self.gate(self.stem(pictures))).flatten(1))


def scripted(part: nn.Module) -> nn.Module:
    """Return a module compiled by TorchScript, which current torch calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        compiled: nn.Module = torch.jit.script(part)
    return compiled
