"""What tells a stopwatch the time: layers by themselves, and whole networks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import nn

from physprune_pl.latency.layers import LayerShape
from physprune_pl.latency.race import race, race_networks
from physprune_pl.networks.example import Example


class Clock(Protocol):
    """Times layers and networks; a synthetic one computes what a real one measures."""

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        """Return milliseconds of one call of a layer."""
        ...

    def networks(self, models: Mapping[str, nn.Module], example: Example) -> dict[str, float]:
        """Return milliseconds of one call of each network with the whole example, the first one's for comparison."""
        ...


class DeviceClock:
    """Measures on the device itself, see :func:`~physprune_pl.latency.race.race`."""

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        """Time a layer in a few short rounds: hundreds of layers are timed."""
        call = shape.call(device, dtype)
        with torch.inference_mode():
            return race({"layer": call}, rounds=5, round_seconds=0.002, device=device)["layer"]

    def networks(self, models: Mapping[str, nn.Module], example: Example) -> dict[str, float]:
        """Time networks in turn."""
        return race_networks(models, example, rounds=9, round_seconds=0.02)
