"""torch-kirigami: the channels of least norm go, a few at a time, without sparse training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import lightning as L

from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised
from physprune_pl.networks.measure import count_macs, count_parameters

# It takes budgets of parameters, none of MACs: each round asks for this share of the dense network's less.
ROUND = 0.02


class Kirigami:
    """Its quick start: ``Greedy(GroupMagnitude(p=2))`` under a ``ParameterBudget``, in rounds."""

    def presses(self, model: Supervised) -> Sequence[L.Callback]:  # noqa: ARG002
        """Press nothing: it takes a trained network."""
        return ()

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:  # noqa: ARG002
        """Remove channels in rounds, the graph built anew for each, until at most this share of the MACs is left."""
        library, pruning = import_module("torch_kirigami"), import_module("torch_kirigami.pruning")
        network, example = model.network.eval(), model.example_input_array
        goal, step = macs * count_macs(network, example), ROUND * count_parameters(network)
        while count_macs(network, example) > goal:
            pruner = pruning.Pruner(network, graph=library.DependencyGraph.build(network, args=(example,)))
            budget: Any = pruning.ParameterBudget(max_params=int(count_parameters(network) - step))
            strategy = pruning.Greedy(pruning.GroupMagnitude(p=2))
            network, _ = pruner.prune(pruner.discover_candidates(), budget=budget, strategy=strategy)
        model.network = network

    def finish(self, model: Supervised) -> None:
        """Do nothing: the channels are gone."""
