"""torch-kirigami: the channels of least norm go, a few at a time, without sparse training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import lightning as L
from torch import nn

from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised
from physprune_pl.networks.measure import count_macs, count_parameters

# It takes budgets of parameters, none of MACs: each round asks for this share of the dense network's less.
ROUND = 0.02


def pruner_of(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Return its pruner on the graph of dependencies of a network that is called with these arguments."""
    library, pruning = import_module("torch_kirigami"), import_module("torch_kirigami.pruning")
    return pruning.Pruner(network, graph=library.DependencyGraph.build(network.eval(), args=args, kwargs=kwargs))


def pruned(pruner: Any, most: int) -> nn.Module:
    """Return the network with at most so many parameters, as its quick start prunes it."""
    pruning = import_module("torch_kirigami.pruning")
    budget, strategy = pruning.ParameterBudget(max_params=most), pruning.Greedy(pruning.GroupMagnitude(p=2))
    network: nn.Module = pruner.prune(pruner.discover_candidates(), budget=budget, strategy=strategy)[0]
    return network


class Kirigami:
    """Its quick start: ``Greedy(GroupMagnitude(p=2))`` under a ``ParameterBudget``, in rounds."""

    def presses(self, model: Supervised) -> Sequence[L.Callback]:  # noqa: ARG002
        """Press nothing: it takes a trained network."""
        return ()

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:  # noqa: ARG002
        """Remove channels in rounds, the graph built anew for each, until at most this share of the MACs is left."""
        network, example = model.network, model.example_input_array
        goal, step = macs * count_macs(network, example), ROUND * count_parameters(network)
        while count_macs(network, example) > goal:
            network = pruned(pruner_of(network, (example,)), int(count_parameters(network) - step))
        model.network = network

    def finish(self, model: Supervised) -> None:
        """Do nothing: the channels are gone."""
