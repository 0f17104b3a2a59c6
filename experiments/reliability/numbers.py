"""Rows whose every weight is that of a fit without Lightning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR

from experiments.reliability.fit_watch import COEFFICIENT, live_in_optimizers
from experiments.reliability.network import RATE, Module, loader, network, quiet
from experiments.reliability.recipe import Recipe
from experiments.reliability.reference import PlainFit, cut_by_hand
from experiments.reliability.setting import Setting
from physprune_pl import physics_pruning, trace_groups

CHECKED = "equal to the reference"


class RecipeModule(Module):
    """Optimizer and scheduler of a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def configure_optimizers(self) -> Any:
        """Follow the recipe."""
        return self.recipe.configured(self)


class Dense(Callback):
    """Keeps the weights at the end of the sparsify phase."""

    weights: Mapping[str, Tensor]

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep a copy."""
        if trainer.current_epoch == 1:
            self.weights = {name: value.clone() for name, value in pl_module.net.state_dict().items()}


def compare(recipe: Recipe, folder: Path) -> str:
    """Fit with a trainer and with loops; return the largest difference."""
    module, dense, batches = RecipeModule(recipe), Dense(), list(loader())
    callbacks = physics_pruning(
        "exponential", COEFFICIENT, target={"macs": 0.5}, finetune_epochs=2, module="net", example_input=batches[0][0]
    )
    trainer = quiet(folder, callbacks=[dense, *recipe.callbacks(), *callbacks], **recipe.trainer_settings())
    trainer.fit(module, loader(), loader())
    plan = callbacks.plan
    live_in_optimizers(module.net.parameters(), trainer.optimizers)

    batches = [[images.to(recipe.dtype), labels] for images, labels in batches]
    torch.manual_seed(0)
    net = network().to(recipe.dtype)
    plain = PlainFit(recipe, net, trace_groups(net, batches[0][0]), COEFFICIENT)
    plain.run(batches, range(2), RATE)
    before = largest(dense.weights, plain.net, recipe.tolerance)
    smaller, state = cut_by_hand(plain.net, plain.optimizer, plan)
    tuned = PlainFit(recipe, smaller, (), 0.0)
    tuned.run(batches, range(2, 4), 0.1 * RATE, state)
    after = largest(module.net.state_dict(), smaller, recipe.tolerance)
    return f"largest difference {before:.0e} before the cut, {after:.0e} at the end"


def largest(weights: Mapping[str, Tensor], reference: nn.Module, tolerance: float) -> float:
    """Return the largest difference between weights, relative to the largest weight of each tensor."""
    expected = reference.state_dict()
    gaps = [float((expected[name] - value).abs().max() / expected[name].abs().max()) for name, value in weights.items()]
    assert max(gaps) <= tolerance, f"weights differ by {max(gaps):.1e}"
    return max(gaps)


def optimizer(kind: Any, **settings: Any) -> Any:
    """A builder of optimizers of a kind."""
    return partial(_built, kind, settings)


def _built(kind: Any, settings: dict[str, Any], parameters: Iterable[Any], rate: float) -> Optimizer:
    made: Optimizer = kind(parameters, lr=rate, **settings)
    return made


def two_groups(parameters: Iterable[Any], rate: float) -> Optimizer:
    """Another rate and weight decay for matrices than for vectors."""
    known = list(parameters)
    matrices, vectors = [one for one in known if one.dim() > 1], [one for one in known if one.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "lr": 0.5 * rate}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9)


def by_step(optimizer: Optimizer, rate: float, steps: int, epochs: int) -> Any:  # noqa: ARG001
    """Down by a fifth every other step."""
    return StepLR(optimizer, 2, 0.8)


def by_epoch(optimizer: Optimizer, rate: float, steps: int, epochs: int) -> Any:  # noqa: ARG001
    """A cosine over the phase."""
    return CosineAnnealingLR(optimizer, epochs, eta_min=0.1 * rate)


def one_cycle(optimizer: Optimizer, rate: float, steps: int, epochs: int) -> Any:  # noqa: ARG001
    """Up and down once in the phase."""
    return OneCycleLR(optimizer, rate, steps)


def plateau(optimizer: Optimizer, rate: float, steps: int, epochs: int) -> Any:  # noqa: ARG001
    """Down wherever the loss does not fall to a tenth."""
    return ReduceLROnPlateau(optimizer, patience=0, threshold=0.9, min_lr=0.05 * rate)


RECIPES = {
    "precision 32-true": Recipe("32-true", tolerance=1e-4),
    "precision 64-true": Recipe(),
    "precision bf16-mixed": Recipe("bf16-mixed", tolerance=2e-2),
    "precision 16-mixed with a gradient scaler": Recipe("16-mixed", tolerance=5e-3),
    "accumulation over 4 batches": Recipe(accumulate={0: 4}),
    "accumulation scheduled, 1 then 4 then 2 batches": Recipe(accumulate={0: 1, 1: 4, 2: 2}),
    "clipping by norm": Recipe(clipping=("norm", 0.05)),
    "clipping by value": Recipe(clipping=("value", 0.01)),
    "SGD without momentum": Recipe(optimizer=optimizer(torch.optim.SGD)),
    "SGD with Nesterov momentum": Recipe(optimizer=optimizer(torch.optim.SGD, momentum=0.9, nesterov=True)),
    "Adam": Recipe(optimizer=optimizer(torch.optim.Adam)),
    "AdamW": Recipe(optimizer=optimizer(torch.optim.AdamW)),
    "AdamW, foreach": Recipe(optimizer=optimizer(torch.optim.AdamW, foreach=True)),
    "AdamW, fused": Recipe(optimizer=optimizer(torch.optim.AdamW, fused=True)),
    "AdamW with AMSGrad": Recipe(optimizer=optimizer(torch.optim.AdamW, amsgrad=True)),
    "RMSprop with momentum": Recipe(optimizer=optimizer(torch.optim.RMSprop, momentum=0.9)),
    "two parameter groups": Recipe(optimizer=two_groups),
    "scheduler by step": Recipe(scheduler=by_step, interval="step"),
    "scheduler by epoch, to a floor": Recipe(scheduler=by_epoch),
    "OneCycleLR, which also moves the momentum": Recipe(scheduler=one_cycle, interval="step"),
    "ReduceLROnPlateau": Recipe(scheduler=plateau),
}
NUMBERS = [Setting(name, CHECKED, partial(compare, recipe)) for name, recipe in RECIPES.items()]
