"""The same networks cut by Torch-Pruning, called as its README calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from experiments.structures.oracle import forward, leaves
from experiments.zoo.limited_process import Row
from experiments.zoo.network import CLASSES
from experiments.zoo.networks import make
from experiments.zoo.ours import Make, timed, untrainable
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.tools.memory import process_peak

RATIO = 0.5
ROUND_TO = 8


def cut_by_torch_pruning(name: str, build: Make = make) -> Iterator[Row]:
    """Yield what comes of removing half of the channels of every layer but the classifiers, in parts.

    Its README knows classifiers by their width, and looks at linear layers only; here convolutions count too.

    Args:
        name: of a network.
        build: returns that network and its example.
    """
    import torch_pruning

    model, example = build(name)
    training = model.training
    shapes = _shapes(model, example)
    costs = count_macs(model, example), count_parameters(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    pruner, seconds = timed(
        lambda: torch_pruning.pruner.BasePruner(
            model,
            example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=RATIO,
            ignored_layers=_classifiers(model),
            round_to=ROUND_TO,
        )
    )
    yield {"trace_seconds": seconds}
    _, seconds = timed(pruner.step)
    yield {"cut_seconds": seconds, "peak_bytes": process_peak()}
    # What comes first is what a user sees first: the network does not run.
    got = _shapes(model, example)
    after = count_macs(model, example), count_parameters(model)
    yield {"macs": (costs[0], after[0]), "params": (costs[1], after[1])}
    problems = [] if got == shapes else [f"outputs have shapes {got}, not {shapes}"]
    problems += ["nothing was cut"] if after == costs else []
    yield {"problems": problems + (untrainable(model, example, trained) if training else [])}


def _classifiers(model: nn.Module) -> list[nn.Module]:
    widths = {
        module: module.out_features if isinstance(module, nn.Linear) else module.out_channels
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    }
    return [module for module, width in widths.items() if width == CLASSES]


def _shapes(model: nn.Module, example: Any) -> list[tuple[int, ...]]:
    with torch.no_grad():
        outputs = leaves(forward(model.eval(), example))
    return [tuple(out.shape) for out in outputs if isinstance(out, Tensor)]
