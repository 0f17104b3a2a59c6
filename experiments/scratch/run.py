"""The shape that pruning found, trained from scratch: ``python -m experiments.scratch.run [--sets digits cifar10]``.

The runs of the comparisons must be there: it is their checkpoints that have the shapes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
from torch import nn

from experiments.bench.committed_results import comparison
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Result, save, stored, write_table
from experiments.training.assembly import build_data, build_model, build_trainer, composed
from experiments.training.evaluation import evaluate
from experiments.training.outcome import restore_best
from experiments.training.sweeps.figures import spread
from physprune_pl import load_pruned
from physprune_pl.networks.measure import count_macs
from physprune_pl.reports.report import PruningReport, command_line
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
SETS = ("digits", "mnist", "mnist_resnet20", "cifar10")
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


def trained(compared: LawComparison, seed: int, runs: Path) -> Result:
    """Train the shape of a pruned network as the dense one of its comparison is, from new weights.

    Args:
        compared: says network, data and epochs.
        seed: of the pruned network, and of this training.
        runs: folder with the runs of the comparison, ``<arm>/<seed>``.

    Returns:
        Test accuracy of the best weights by validation loss, that of the dense and of the pruned network of the run
        that found the shape, and what the shape keeps of the MACs.
    """
    folder = runs / "scratch" / str(seed)
    config = composed([*compared.arms[0].overrides, f"seed={seed}", f"paths.output={folder}"])
    L.seed_everything(seed, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    dense = count_macs(model.network, data.example(1))
    pruned = runs / LAW / str(seed)
    load_pruned(model, pruned / "checkpoints" / "best.ckpt")
    reset(model.network)
    kept = count_macs(model.network, data.example(1)) / dense
    trainer = build_trainer(config, [])
    trainer.fit(model, datamodule=data)
    restore_best(trainer, model)
    found = evaluate({"shape": model}, data, trainer.strategy.root_device, "test")
    metric = PruningReport.from_json((pruned / "report.json").read_text()).metric
    rivals = {phase: metric[phase] for phase in RIVALS}
    return {"data": compared.name, "seed": seed, "macs_kept": kept, **rivals, "accuracy": found["shape"]}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return dense, pruned and newly trained networks side by side, test accuracy in per cent, over the same seeds."""
    head = ("data", "seeds", "MACs kept", "dense", f"pruned with {LAW}, fine-tuned", "its shape, from scratch")
    names = dict.fromkeys(one["data"] for one in found)
    return markdown(head, [tuple(_cells(name, [one for one in found if one["data"] == name])) for name in names])


def _cells(name: str, anew: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (name, str(len(anew)), spread([100 * one["macs_kept"] for one in anew], "{:.1f}"))
    for figure in (*RIVALS, "accuracy"):
        yield spread([100 * one[figure] for one in anew], "{:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that has those of every comparison")
    options = parser.parse_args(arguments)
    path = FOLDER / "results.json"
    found = stored(path)
    for name in options.sets:
        done = {one["seed"] for one in found if one["data"] == name}
        for seed in sorted(set(options.seeds) - done):
            found.append(trained(comparison(name), seed, options.runs / name))
            found.sort(key=lambda one: (SETS.index(one["data"]), one["seed"]))
            save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
