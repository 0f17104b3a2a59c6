"""A device without a clock: times that are computed, so that tests know them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

import torch
from torch import nn

from physprune_pl.latency import LayerShape, Stopwatch
from physprune_pl.latency.layers import layers_of
from physprune_pl.networks.example import Example


class SyntheticClock:
    """A layer takes 1 ms and 1 ms per 1000 weights; a network its layers and 3 ms."""

    def __init__(self) -> None:
        self.timed: list[str] = []
        self.raced = 0

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        self.timed.append(shape.key)
        return time_of(shape)

    def networks(self, models: Mapping[str, nn.Module], example: Example) -> dict[str, float]:
        self.raced += 1
        return {
            name: 3.0 + sum(time_of(layer.shape) for layer in layers_of(model, example))
            for name, model in models.items()
        }


def time_of(shape: LayerShape) -> float:
    return 1.0 + prod(shape.weight) / 1000.0


def stopwatch(folder: Path, batch_size: int = 1) -> Stopwatch:
    return Stopwatch(batch_size, folder / "times.json", SyntheticClock())
