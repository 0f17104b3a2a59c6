"""spotiflow: spots in microscopy pictures by a multi-scale network."""

from __future__ import annotations

from typing import Any

import torch

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import generator, loader

SIZE = 32


def samples(count: int, seed: int) -> list[dict[str, Any]]:
    """Return pictures with three spots, their places and class, the heat maps of two levels, the flow towards spots."""
    from spotiflow.utils import points_to_flow, points_to_prob

    random, found = generator(seed), []
    for _ in range(count):
        spots = (4 + (SIZE - 8) * torch.rand(3, 2, generator=random)).numpy()
        heat = torch.from_numpy(points_to_prob(spots, shape=(SIZE, SIZE), sigma=1)).float()[None]
        flow = torch.from_numpy(points_to_flow(spots, shape=(SIZE, SIZE), sigma=1)).float().permute(2, 0, 1)
        picture = heat + 0.2 * torch.randn(1, SIZE, SIZE, generator=random)
        levels = {"heatmap_lv0": heat, "heatmap_lv1": torch.nn.functional.max_pool2d(heat, 2)}
        points = torch.cat([torch.from_numpy(spots).float(), torch.zeros(3, 1)], 1)
        found.append({"img": picture, "flow": flow, "pts": points, **levels})
    return found


def client() -> Client:
    """Return SpotiflowTrainingWrapper around a small Spotiflow of two levels."""
    from spotiflow.model import Spotiflow, SpotiflowModelConfig
    from spotiflow.model.config import SpotiflowTrainingConfig
    from spotiflow.model.trainer import SpotiflowTrainingWrapper

    def module() -> Any:
        network = Spotiflow(SpotiflowModelConfig(levels=2, initial_fmaps=16, in_channels=1))
        return SpotiflowTrainingWrapper(network, SpotiflowTrainingConfig(lr=1e-3))

    return Client(
        module=module,
        data=Loaders(lambda: loader(samples(32, 1), shuffle=True), lambda: loader(samples(16, 2), batch=1)),
        metric="val_loss",
        epochs=20,
        what="Spotiflow, spots in noise",
        style="batch is a dict with a heat map a level; forward returns two lists; outputs of a validation are kept on "
        "the module; it validates one picture at a time",
    )
