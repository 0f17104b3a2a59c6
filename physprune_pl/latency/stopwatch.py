"""Measures what planning needs to know of a device, once, and remembers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from physprune_pl.latency.cache import LatencyCache, default_path
from physprune_pl.latency.clock import Clock, DeviceClock
from physprune_pl.latency.grids import Grid
from physprune_pl.latency.hardware import device_name
from physprune_pl.latency.layers import Layer, LayerShape, layers_of
from physprune_pl.latency.multiples import liked
from physprune_pl.latency.network_latency import NetworkLatency, Rest
from physprune_pl.networks.example import Example
from physprune_pl.networks.identity import fingerprint
from physprune_pl.networks.isolation import twin
from physprune_pl.structure import ChannelGroup, Trace
from physprune_pl.surgery.apply import cut
from physprune_pl.surgery.plan import make_plan
from physprune_pl.targets.costs import CostModel
from physprune_pl.tools.progress import steps

KEPT = (1.0, 0.75, 0.5, 0.25)
"""Shares of all channels that the network is timed with, to find what its layers by themselves do not tell."""


@dataclass(frozen=True)
class Stopwatch:
    """Times layers and networks on the device where the network is, in eval mode, and keeps the times in a file.

    Args:
        batch_size: samples of one call; latency is the time of one call.
        cache: the file; None: ``$PHYSPRUNE_LATENCY``, else ``physprune_pl/latency.json`` in the user's cache folder.
        clock: what tells the time.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """

    batch_size: int = 1
    cache: str | Path | None = None
    clock: Clock = field(default_factory=DeviceClock)

    def __post_init__(self) -> None:
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"batch_size: expected a whole number of at least 1, got {self.batch_size!r}")

    def latency(self, model: nn.Module, example_input: object, trace: Trace) -> NetworkLatency:
        """Return the latency of a traced network as a function of its widths; only new shapes are timed.

        Every different layer is timed by itself at up to five numbers of rows times five of columns; then the network
        is timed at four widths of all groups alike, which tells how much the rest takes.

        Raises:
            ValueError: the network does not run with ``batch_size`` samples, or has no layer to time.
        """
        example = Example.of(example_input).to(model).sized(self.batch_size)
        layers = layers_of(model, example)
        if not layers:
            raise ValueError("target latency: the network calls no convolution and no linear layer to time")
        grids = self._grids(model, layers)
        alone = NetworkLatency(tuple(layers), tuple(grids[layer.shape.key] for layer in layers))
        rest = self._rest(model, example, trace, alone)
        return NetworkLatency(alone.layers, alone.grids, rest, self.batch_size)

    def compare(self, dense: nn.Module, pruned: nn.Module, example_input: object) -> dict[str, float]:
        """Measure two networks side by side: ``{"dense": milliseconds, "pruned": milliseconds}``."""
        example = Example.of(example_input).sized(self.batch_size)
        return self.clock.networks({"dense": dense, "pruned": pruned}, example)

    def multiple(self, model: nn.Module) -> int:
        """Return the number that the device likes numbers of channels to be a multiple of."""
        device, dtype = _place(model)
        kept = self._kept(model).get("round_to", {})
        if "multiple" not in kept:
            kept = {"multiple": liked(lambda shape: self.clock.layer(shape, device, dtype))}
            self._keep(model, {"round_to": kept})
        return int(kept["multiple"])

    def _grids(self, model: nn.Module, layers: Sequence[Layer]) -> dict[str, Grid]:
        """Times of every shape, by its key; what is not in the file is measured and put there."""
        kept = self._kept(model).get("layers", {})
        shapes = {layer.shape.key: layer.shape for layer in layers}
        unknown = [key for key in shapes if key not in kept]
        new = {key: self._grid(shapes[key], *_place(model)) for key in steps("timing layers", unknown)}
        if new:
            self._keep(model, {"layers": {key: grid.to_dict() for key, grid in new.items()}})
        return {key: new[key] if key in new else Grid.from_dict(kept[key]) for key in shapes}

    def _grid(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> Grid:
        def milliseconds(rows: int, columns: int) -> float:
            return self.clock.layer(shape.at(rows, columns), device, dtype)

        return Grid.measured(shape.rows, shape.columns, milliseconds)

    def _rest(self, model: nn.Module, example: Example, trace: Trace, alone: NetworkLatency) -> Rest:
        key = f"{fingerprint(trace.shapes)} {' '.join(sorted({layer.shape.key for layer in alone.layers}))}"
        kept = self._kept(model).get("networks", {})
        if key not in kept:
            kept = {key: asdict(self._measured_rest(model, example, trace, alone))}
            self._keep(model, {"networks": kept})
        return Rest(**kept[key])

    def _measured_rest(self, model: nn.Module, example: Example, trace: Trace, alone: NetworkLatency) -> Rest:
        costs = CostModel(trace)
        removed = [[_first_gone(group, share) for group in trace.groups] for share in KEPT]
        models = {str(share): _cut(model, trace, gone) for share, gone in zip(KEPT, removed, strict=True)}
        measured = self.clock.networks(models, example)
        sizes = np.stack([costs.sizes(gone) for gone in removed])
        layers, outputs = (part(sizes).tolist() for part in alone.parts(costs.place))
        return Rest.fitted(layers, outputs, [measured[str(share)] for share in KEPT])

    def _kept(self, model: nn.Module) -> dict[str, dict[str, Any]]:
        return self._file().page(device_name(*_place(model)))

    def _keep(self, model: nn.Module, found: Mapping[str, Mapping[str, Any]]) -> None:
        self._file().keep(device_name(*_place(model)), found)

    def _file(self) -> LatencyCache:
        return LatencyCache(default_path() if self.cache is None else Path(self.cache))


def _place(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and type of the numbers that a network computes with."""
    parameter = next(one for one in model.parameters() if one.is_floating_point())
    return parameter.device, parameter.dtype


def _cut(model: nn.Module, trace: Trace, removed: Sequence[Tensor]) -> nn.Module:
    """Return a cut copy, which shares what is not cut."""
    return cut(twin(model), make_plan(trace, removed, (0, 0), (0, 0)))


def _first_gone(group: ChannelGroup, kept: float) -> Tensor:
    """Channels that go so that the given share stays of all of them and of every part that some slice holds, [K]."""
    removed = torch.zeros(group.size, dtype=torch.bool)
    for owners in {tuple(sorted(set(part.channel))) for part in group.slices}:
        removed[list(owners[: len(owners) - max(1, round(kept * len(owners)))])] = True
    return group.leaving_one(removed)
