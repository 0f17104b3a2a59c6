"""Torch-Pruning's pruners with sparse training, as its README and the script of its published figures use them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, cast

import lightning as L
from torch import nn
from torch.optim import Optimizer

from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised
from physprune_pl.networks.measure import count_macs

Method = Literal["group_norm", "bn_scale", "growing_reg"]

# Its script cuts a four-hundredth of the channels at a time until the speed-up is reached.
STEPS = 400


@dataclass
class TorchPruning:
    """A pruner of Torch-Pruning.

    Attributes:
        method: ``"group_norm"``: its own; ``"bn_scale"``: network slimming; ``"growing_reg"``: growing regularization.
        reg: pressure; 5e-4 in its script.
        delta_reg: how much it may grow in one epoch, for ``"growing_reg"``; 1e-4 in its script.
    """

    method: Method
    reg: float = 5e-4
    delta_reg: float = 1e-4

    def presses(self, model: Supervised) -> list[L.Callback]:
        """Return the callback that adds its gradient; weight decay rests meanwhile, as in its script."""
        model.optimizer = partial(cast(Any, model.optimizer), weight_decay=0.0)
        self._pruner = self._build(model.network, model.example_input_array)
        model.network.train()  # building leaves it in eval mode
        return [_SparseTraining(self._pruner)]

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:  # noqa: ARG002
        """Let it cut step by step until at most this share of the MACs is left.

        Raises:
            RuntimeError: when it ends before.
        """
        network, example = model.network.eval(), model.example_input_array
        goal = macs * count_macs(network, example)
        while count_macs(network, example) > goal:
            if self._pruner.current_step == self._pruner.iterative_steps:
                raise RuntimeError(f"target.macs: Torch-Pruning did not get down to {macs}")
            self._pruner.step()
        del self._pruner

    def finish(self, model: Supervised) -> None:
        """Do nothing: the channels are gone."""

    def _build(self, network: nn.Module, example: Any) -> Any:
        library = import_module("torch_pruning")
        norm = library.importance.GroupMagnitudeImportance
        pruners = {
            "group_norm": (library.pruner.GroupNormPruner, partial(norm, p=2, normalizer="max"), {}),
            "bn_scale": (library.pruner.BNScalePruner, library.importance.BNScaleImportance, {}),
            "growing_reg": (library.pruner.GrowingRegPruner, partial(norm, p=2), {"delta_reg": self.delta_reg}),
        }
        pruner, importance, more = pruners[self.method]
        return pruner(
            network,
            example,
            importance=importance(),
            reg=self.reg,
            global_pruning=True,
            iterative_steps=STEPS,
            pruning_ratio=1.0,
            ignored_layers=_classifiers(network),
            **more,
        )


def _classifiers(network: nn.Module) -> list[nn.Linear]:
    """The last linear layer, whose outputs are the classes."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1:]


class _SparseTraining(L.Callback):
    """Calls the pruner between backward and step, and lets a growing pressure grow after every epoch."""

    def __init__(self, pruner: Any) -> None:
        super().__init__()
        self._pruner = pruner

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._pruner.update_regularizer()

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:  # noqa: ARG002
        self._pruner.regularize(pl_module.network)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        if hasattr(self._pruner, "update_reg"):
            self._pruner.update_reg()
