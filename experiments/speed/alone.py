"""The penalty alone beside an autograd loop over layers and Torch-Pruning's regulariser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from experiments.speed.pressed import Force, Training
from experiments.speed.timing import Job, copying, interleaved, medians

OURS = {f"ours, {law}": law for law in ("uniform", "exponential", "gravity", "electrostatic")}
SECONDS = 2.0


def measured(training: Training) -> dict[str, float]:
    """Return the median milliseconds of one penalty gradient, by name.

    Ours and the loop find no gradient, as at the beginning of a backward pass, and again find one that they add to
    (``added``); Torch-Pruning, which runs after the backward pass, always finds one. ``loop`` presses the rows of all
    convolutions and linear layers, Torch-Pruning its own groups, ours all slices of all groups.
    """
    ours: dict[str, Job] = {name: Force(training, law) for name, law in OURS.items()}
    plain = loop(training.model)
    copy = copying(training.touched)
    fresh = interleaved({"copy": copy, "loop": plain, **ours}, SECONDS, before=lambda: drop(training))
    for parameter in training.parameters:
        parameter.grad = torch.zeros_like(parameter)
    pair = {"ours, exponential, added": ours["ours, exponential"], "loop, added": plain}
    added = interleaved({**pair, "torch-pruning": regularize(training)}, SECONDS)
    drop(training)
    return medians({**fresh, **added})


def drop(training: Training) -> None:
    """Forget all gradients, as an optimizer does."""
    for parameter in training.parameters:
        parameter.grad = None


def loop(model: nn.Module) -> Job:
    """Return the penalty as one would write it: autograd, layer by layer."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    coefficients = [torch.rand(len(weight)) * 1e-6 for weight in weights]

    def add_gradient() -> None:
        pairs = zip(coefficients, weights, strict=True)
        sum((c * weight.flatten(1).norm(dim=1)).sum() for c, weight in pairs).backward()

    return add_gradient


def regularize(training: Training) -> Job:
    """Return Torch-Pruning's GroupNormPruner at work on the same network."""
    import torch_pruning

    pruner = torch_pruning.pruner.GroupNormPruner(
        training.model, training.images[:1], importance=torch_pruning.importance.GroupMagnitudeImportance(), reg=1e-6
    )
    pruner.update_regularizer()
    regularizer: Callable[[nn.Module], object] = pruner.regularize
    return lambda: regularizer(training.model)
