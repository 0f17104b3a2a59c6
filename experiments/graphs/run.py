"""Pruned graph attention: ``python -m experiments.graphs.run``; needs requirements.txt of this folder."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from experiments.bench.runs import AT, Result, merged, save, stored, write_table
from experiments.graphs.network import Graph, GraphAttention, NodeClassifier, digits_graph
from experiments.scratch.run import reset, scale
from experiments.training.sweeps.figures import ArmFigures, percent, spread
from physprune_pl import PruningReport, physics_pruning
from physprune_pl.latency.race import race_networks
from physprune_pl.networks.example import Example
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown
from physprune_pl.targets.target import Target

FOLDER = Path(__file__).parent
LAWS = ("none", "uniform", "exponential")
SHARES = (0.5, 0.2)
SPARSIFY, FINETUNE = 200, 100
DENSE, SCALED = "dense", "scaled"
ARMS = (DENSE, *(f"{arm}{AT}{share}" for share in SHARES for arm in (*LAWS, SCALED)))
HEAD = ("arm", "seeds", "MACs", "parameters", "loss before the cut", "right after", "accuracy", "latency")


def result(arm: str, seed: int, graph: Graph) -> Result:
    """Train one arm and return what it costs and reaches.

    Args:
        arm: ``"dense"``, or a law or ``"scaled"`` with the share of the MACs to keep.
        seed: of weights and dropout.
        graph: to train on.
    """
    L.seed_everything(seed, workers=True, verbose=False)
    model = NodeClassifier(graph, GraphAttention(graph.features.shape[1], int(graph.classes.max()) + 1))
    dense, call = copy.deepcopy(model.network), (graph.features, graph.edges)
    name, _, share = arm.partition(AT)
    phases: Mapping[str, Any] = {}
    if name in LAWS:
        phases = pruned(model, name, float(share)).metric
    else:
        if name == SCALED:
            scale(model.network, call, Target("macs", float(share)))
            reset(model.network)
        trained(model)
    networks = {"dense": dense, "pruned": model.network}
    return {
        "arm": arm,
        "seed": seed,
        "macs": {name: count_macs(network, call) for name, network in networks.items()},
        "params": {name: count_parameters(network) for name, network in networks.items()},
        "val_loss": {phase: phases[phase] for phase in ("after_sparsify", "after_cut") if phase in phases},
        "accuracy": model.accuracy("test"),
        "latency_ms": {"graph": race_networks(networks, Example.of(call))},
    }


def pruned(model: NodeClassifier, law: str, share: float) -> PruningReport:
    """Prune a network within one fit; the best weights of fine-tuning by validation loss are kept."""
    force = None if law == "none" else law
    callbacks = physics_pruning(
        force, target={"macs": share}, finetune_epochs=FINETUNE, monitor="val/loss", mode="min", finetune_lr=5e-3
    )
    with TemporaryDirectory() as folder:
        _trainer(SPARSIFY, [callbacks], folder, keeps=False).fit(model, *_one_step())
    return callbacks.report


def trained(model: NodeClassifier) -> None:
    """Train without pruning for as many epochs in all; keep the best weights by validation loss."""
    best = ModelCheckpoint(monitor="val/loss", mode="min", save_weights_only=True)
    with TemporaryDirectory() as folder:
        _trainer(SPARSIFY + FINETUNE, [best], folder, keeps=True).fit(model, *_one_step())
        model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])


def _trainer(epochs: int, callbacks: list[L.Callback], folder: str, keeps: bool) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        callbacks=callbacks,
        accelerator="cpu",
        default_root_dir=folder,
        enable_checkpointing=keeps,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )


def _one_step() -> tuple[DataLoader[int], DataLoader[int]]:
    """The graph is in the module: an epoch of training and of validation needs one batch of anything."""
    return DataLoader([0]), DataLoader([0])  # type: ignore[arg-type]


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per arm: validation loss, test accuracy in per cent, latency as a share of the dense network's."""
    names = dict.fromkeys(one["arm"] for one in found)
    return markdown(HEAD, [tuple(_cells([one for one in found if one["arm"] == name])) for name in names])


def _cells(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (runs[0]["arm"], str(len(runs)))
    figures = ArmFigures.of(runs)
    for cost in ("macs", "params"):
        yield f"{spread(figures.less(cost), '{:.2f}')}x fewer"
    for phase in ("after_sparsify", "after_cut"):
        yield spread([one["val_loss"][phase] for one in runs if phase in one["val_loss"]], "{:.3f}")
    yield percent([one["accuracy"] for one in runs])
    yield spread(figures.kept("graph"), "{:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    path, graph = FOLDER / "results.json", digits_graph()
    for seed, arm in product(options.seeds, ARMS):
        if (arm, seed) not in {(one["arm"], one["seed"]) for one in stored(path)}:
            save(merged(stored(path), [result(arm, seed, graph)], ARMS), command_line(), path)
    write_table(FOLDER / "README.md", table(stored(path)))


if __name__ == "__main__":
    main()
