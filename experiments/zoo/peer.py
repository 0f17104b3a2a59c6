"""The same networks cut by other programs, each called as its README calls it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from experiments.peers.kirigami import pruned, pruner_of
from experiments.structures.oracle import forward, leaves
from experiments.zoo.limited_process import Row
from experiments.zoo.network import CLASSES
from experiments.zoo.networks import make
from experiments.zoo.ours import Make, timed, untrainable
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.tools.memory import process_peak

RATIO = 0.5
ROUND_TO = 8


class Peer(Protocol):
    """A program that removes channels."""

    def prepared(self, model: nn.Module, example: Any) -> Any:
        """Return what the program makes of a network before it cuts it."""

    def cut(self, prepared: Any) -> nn.Module:
        """Cut the network, and return it."""


class TorchPruning:
    """Half of the channels of every layer but the classifiers.

    Its README knows classifiers by their width, and looks at linear layers only; here convolutions count too.
    """

    def prepared(self, model: nn.Module, example: Any) -> Any:
        """Return a pruner, which holds the graph of dependencies."""
        library = import_module("torch_pruning")
        return library.pruner.BasePruner(
            model,
            example,
            importance=library.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=RATIO,
            ignored_layers=_classifiers(model),
            round_to=ROUND_TO,
        )

    def cut(self, prepared: Any) -> nn.Module:
        """Make one step."""
        prepared.step()
        model: nn.Module = prepared.model
        return model


class Kirigami:
    """Its quick start: ``Greedy(GroupMagnitude(p=2))`` until half of the parameters is left; it takes no MACs."""

    def prepared(self, model: nn.Module, example: Any) -> Any:
        """Return a pruner on the graph of dependencies, and the most parameters that may stay."""
        args = () if isinstance(example, dict) else example if isinstance(example, tuple) else (example,)
        kwargs = example if isinstance(example, dict) else None
        return pruner_of(model, args, kwargs), int(RATIO * count_parameters(model))

    def cut(self, prepared: Any) -> nn.Module:
        """Prune once, under a budget of parameters."""
        return pruned(*prepared)


class FastNAS:
    """ModelOpt's search for half of the MACs.

    The score of a candidate, which would be its accuracy, is minus the mean square of its outputs: nothing is trained.
    """

    def prepared(self, model: nn.Module, example: Any) -> Any:
        """Return the arguments of the search."""
        args = (example,) if isinstance(example, dict) else (*example, {}) if isinstance(example, tuple) else example
        score = partial(_score, example=example)
        config = {"data_loader": [(args,)], "score_func": score, "checkpoint": None, "verbose": False}
        settings = {"constraints": {"flops": f"{RATIO:.0%}"}, "dummy_input": args, "config": config}
        return partial(import_module("modelopt.torch.prune").prune, model.eval(), mode="fastnas", **settings)

    def cut(self, prepared: Any) -> nn.Module:
        """Search once."""
        model: nn.Module = prepared()[0]
        return model


def _score(model: nn.Module, example: Any) -> float:
    with torch.no_grad():
        outputs = leaves(forward(model.eval(), example))
    return -sum(float(out.square().mean()) for out in outputs if isinstance(out, Tensor) and out.is_floating_point())


def cut_by(peer: Peer, name: str, build: Make = make) -> Iterator[Row]:
    """Yield what comes of a network that another program cuts, in parts.

    Args:
        peer: the program.
        name: of a network.
        build: returns that network and its example.
    """
    model, example = build(name)
    training = model.training
    shapes = _shapes(model, example)
    costs = count_macs(model, example), count_parameters(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    prepared, seconds = timed(lambda: peer.prepared(model, example))
    yield {"trace_seconds": seconds}
    model, seconds = timed(lambda: peer.cut(prepared))
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
