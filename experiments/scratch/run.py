"""Small networks trained from scratch, at the cost of the pruned ones: ``python -m experiments.scratch.run``.

``--shapes pruned`` needs the runs of the comparisons, whose checkpoints have the shapes; ``scaled`` needs none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import lightning as L
import torch
from omegaconf import DictConfig
from torch import nn

from experiments.bench.committed_results import comparison, results
from experiments.bench.law_comparison import LawComparison
from experiments.bench.paired import cell, points
from experiments.bench.runs import Result, save, stored, write_table
from experiments.training.assembly import build_data, build_model, build_trainer, composed
from experiments.training.data import LabelledData
from experiments.training.evaluation import evaluate
from experiments.training.outcome import restore_best
from experiments.training.supervised import Supervised
from experiments.training.sweeps.figures import spread
from physprune_pl import apply_plan, load_pruned
from physprune_pl.networks.measure import count_macs
from physprune_pl.planning import plan_removal
from physprune_pl.reports.report import PruningReport, command_line
from physprune_pl.reports.tables import markdown
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.tracing.tracer import trace

FOLDER = Path(__file__).parent
SETS = ("digits", "mnist", "mnist_resnet20", "cifar10", "sst2")
Shape = Literal["pruned", "scaled"]
# The law whose networks give the shapes: the null, so that no law is favoured.
LAW = "uniform"
# What its report says of the networks that the new one is compared with: not of those in the table of the comparison,
# which may be of another processor, where the same seed ends elsewhere and finds another shape.
RIVALS = ("dense", "after_finetune")
Network = TypeVar("Network", bound=nn.Module)


def reset(network: Network) -> Network:
    """Draw new weights for every layer, as it does when it is made."""
    for layer in network.modules():
        draw = getattr(layer, "reset_parameters", None)
        if callable(draw):
            draw()
    return network


def scale(network: nn.Module, example: Any, target: Target) -> None:
    """Keep the same share of the channels of every group, so that the network costs what a pruned one costs.

    The same share is the one where no group may lose its next channel before one that has lost less: channel k of K
    goes when the share (k + 1/2) / K has. With new weights no cut is inexact, so that every width takes part.
    """
    found = trace(network, example)
    traced = replace(found, groups=tuple(replace(group, exact=True) for group in found.groups))
    ranks = [(torch.arange(group.size) + 0.5) / group.size for group in traced.groups]
    chooser = Chooser(traced, target)
    apply_plan(network, plan_removal(chooser, chooser.choose(ranks, ranks)))


def trained_small(config: DictConfig, shrink: Callable[[Supervised, LabelledData], None]) -> tuple[float, Supervised]:
    """Train what is left of a network after ``shrink`` as the dense one is trained, from new weights.

    Args:
        config: of ``train.py``, of a dense network.
        shrink: makes it smaller.

    Returns:
        What it keeps of the MACs, and the module with its best weights by validation loss.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    dense = count_macs(model.network, data.example(1))
    shrink(model, data)
    reset(model.network)
    trainer = build_trainer(config, [])
    trainer.fit(model, datamodule=data)
    restore_best(trainer, model)
    return count_macs(model.network, data.example(1)) / dense, model


def trained(compared: LawComparison, shape: Shape, seed: int, runs: Path) -> Result:
    """Train a small network as the dense one of a comparison is.

    Args:
        compared: says network, data and epochs.
        shape: ``"pruned"``: the one that pruning found with this seed; ``"scaled"``: every width times one factor.
        seed: of the pruned network, and of this training.
        runs: folder with the runs of the comparison, ``<arm>/<seed>``.

    Returns:
        Test accuracy of the small network, of the dense and of the pruned network of this seed, and what the shape
        keeps of the MACs.
    """
    folder = runs / ("scratch" if shape == "pruned" else shape) / str(seed)
    config = composed([*compared.arms[0].overrides, f"seed={seed}", f"paths.output={folder}"])

    def shrink(model: Supervised, data: LabelledData) -> None:
        if shape == "pruned":
            load_pruned(model, runs / LAW / str(seed) / "checkpoints" / "best.ckpt")
        else:
            scale(model.network, data.example(2), Target(compared.kind, compared.share))

    kept, model = trained_small(config, shrink)
    found = evaluate({"shape": model}, build_data(config), torch.device("cpu"), "test")
    rivals = {phase: _pruned(compared, shape, seed, runs)[phase] for phase in RIVALS}
    row = {"data": compared.name, "shape": shape, "seed": seed, "macs_kept": kept}
    return {**row, **rivals, "accuracy": found["shape"]}


def _pruned(compared: LawComparison, shape: Shape, seed: int, runs: Path) -> Mapping[str, Any]:
    """Return the figures of the pruned network: of the run that found the shape, else of the committed comparison."""
    if shape == "pruned":
        return PruningReport.from_json((runs / LAW / str(seed) / "report.json").read_text()).metric
    metric: Mapping[str, Any] = next(
        one["metric"] for one in results(compared.name) if (one["arm"], one["seed"]) == (LAW, seed)
    )
    return metric


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per data set and shape: test accuracy in per cent over the same seeds, and how far pruning is ahead.

    Both networks of a difference have the same seed.
    """
    head = ("data", "shape", "seeds", "MACs kept", "dense", f"pruned with {LAW}, fine-tuned", "from scratch")
    rows = dict.fromkeys((one["data"], one["shape"]) for one in found)
    lines = [tuple(_cells(row, [one for one in found if (one["data"], one["shape"]) == row])) for row in rows]
    return markdown((*head, "pruned minus from scratch"), lines)


def _cells(row: tuple[str, str], anew: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (*row, str(len(anew)), spread([100 * one["macs_kept"] for one in anew], "{:.1f}"))
    for figure in (*RIVALS, "accuracy"):
        yield spread([100 * one[figure] for one in anew], "{:.2f}")
    yield cell([points(one["after_finetune"] - one["accuracy"]) for one in anew])


def _key(one: Mapping[str, Any]) -> tuple[str, str, int]:
    return one["data"], one["shape"], one["seed"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--shapes", nargs="+", choices=get_args(Shape), default=list(get_args(Shape)))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that has those of every comparison")
    options = parser.parse_args(arguments)
    path = FOLDER / "results.json"
    found = stored(path)
    for name, shape, seed in product(options.sets, options.shapes, options.seeds):
        if (name, shape, seed) not in map(_key, found):
            found.append(trained(comparison(name), shape, seed, options.runs / name))
            found.sort(key=lambda one: (SETS.index(one["data"]), get_args(Shape).index(one["shape"]), one["seed"]))
            save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
