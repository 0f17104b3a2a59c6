"""deeptab: regression on a table by a residual network."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, tables

COLUMNS = 6


def samples(count: int, seed: int) -> list[tuple[tuple[list[Any], list[Any], list[Any]], Any]]:
    """Return rows as deeptab's data set hands them out: lists of numbers, categories and embeddings, and the target."""
    rows, values = tables(count, seed, COLUMNS)
    parts = [[number[None] for number in row] for row in rows]
    return [((numbers, [], []), value[None]) for numbers, value in zip(parts, values, strict=True)]


def client() -> Client:
    """Return TaskModel around deeptab's ResNet for tables."""
    from deeptab.architectures import ResNet
    from deeptab.configs import ResNetConfig
    from deeptab.training.lightning_module import TaskModel

    def module() -> Any:
        numbers = {
            f"x{index}": {"preprocessing": "none", "dimension": 1, "categories": None} for index in range(COLUMNS)
        }
        config = ResNetConfig(layer_sizes=[64, 32], num_blocks=2)
        return TaskModel(ResNet, config, (numbers, {}, {}), lr=1e-3)

    return Client(
        module=module,
        data=Loaders(*both(samples, 256)),
        metric="val_loss",
        what="TaskModel, residual network, a table of 6 numbers",
        style="batch is ((lists of columns), target); forward takes the lists one by one",
    )
