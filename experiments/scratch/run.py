"""The shape that pruning found, trained anew: ``python -m experiments.scratch.run [--sets digits cifar10]``.

The runs of the comparisons must be there: it is their checkpoints that have the shapes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
from torch import nn

from experiments.assembly import build_data, build_model, build_trainer, composed
from experiments.bench import Result, save, spread, stored, write_table
from experiments.committed import comparison, results
from experiments.compare import Comparison
from experiments.evaluation import evaluate
from experiments.outcome import restore_best
from physprune_pl import load_pruned
from physprune_pl.measure import count_macs
from physprune_pl.report import command_line
from physprune_pl.tables import markdown

FOLDER = Path(__file__).parent
SETS = ("digits", "mnist", "cifar10")
# The law whose networks give the shapes: the null, so that no law is favoured.
LAW = "uniform"
Network = TypeVar("Network", bound=nn.Module)


def reset(network: Network) -> Network:
    """Draw new weights for every layer, as it does when it is made."""
    for layer in network.modules():
        draw = getattr(layer, "reset_parameters", None)
        if callable(draw):
            draw()
    return network


def trained(compared: Comparison, seed: int, runs: Path) -> Result:
    """Train the shape of a pruned network as the dense one of its comparison is, from new weights.

    Args:
        compared: says network, data and epochs.
        seed: of the pruned network, and of this training.
        runs: folder with the runs of the comparison, ``<arm>/<seed>``.

    Returns:
        Test accuracy of the best weights by validation loss, and what the shape keeps of the MACs.
    """
    folder = runs / "scratch" / str(seed)
    config = composed([*compared.arms[0].overrides, f"seed={seed}", f"paths.output={folder}"])
    L.seed_everything(seed, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    dense = count_macs(model.network, data.example(1))
    load_pruned(model, runs / LAW / str(seed) / "checkpoints" / "best.ckpt")
    reset(model.network)
    kept = count_macs(model.network, data.example(1)) / dense
    trainer = build_trainer(config, [])
    trainer.fit(model, datamodule=data)
    restore_best(trainer, model)
    found = evaluate({"shape": model}, data, trainer.strategy.root_device, "test")
    return {"data": compared.name, "seed": seed, "macs_kept": kept, "accuracy": found["shape"]}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return dense, pruned and newly trained networks side by side, test accuracy in per cent, over the same seeds."""
    head = ("data", "seeds", "MACs kept", "dense", f"pressed ({LAW}), cut, fine-tuned", "its shape, trained anew")
    names = dict.fromkeys(one["data"] for one in found)
    return markdown(head, [tuple(_cells(name, [one for one in found if one["data"] == name])) for name in names])


def _cells(name: str, anew: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    seeds = [one["seed"] for one in anew]
    pruned = [one for one in results(name) if one["arm"] == LAW and one["seed"] in seeds]
    yield from (name, str(len(seeds)), spread([100 * one["macs_kept"] for one in anew], "{:.1f}"))
    for phase in ("dense", "after_finetune"):
        yield spread([100 * one["metric"][phase] for one in pruned], "{:.2f}")
    yield spread([100 * one["accuracy"] for one in anew], "{:.2f}")


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
