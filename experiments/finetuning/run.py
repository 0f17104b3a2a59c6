"""At which learning rate to fine-tune: ``python -m experiments.finetuning.run [--sets digits mnist cifar10]``.

The runs of the comparisons and of the curves must be there: their networks from before the cut are cut and fine-tuned
once more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L

from experiments.bench.committed_results import comparison
from experiments.bench.phases import accuracy_of_phases
from experiments.bench.runs import AT, Arm, Result, save, stored, write_table
from experiments.targets.run import SETS as CURVES
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
ARMS = ("none", "uniform")
# Times the learning rate that the networks were trained with; the first is the default.
FACTORS = (0.1, 0.3, 1.0)
HEAD = ("data", "force before the cut", "seeds", "right after", *(f"rate x {factor:g}" for factor in FACTORS))


@dataclass(frozen=True)
class Source:
    """Runs that have networks from before the cut.

    Attributes:
        folder: that has them, ``<arm>/<seed>``, inside that of all runs.
        arms: of one target each; name -> settings that they share with all others but for the force.
    """

    folder: str
    arms: Mapping[str, Arm]


def _of_comparison(name: str) -> Source:
    return Source(name, {arm.name: arm for arm in comparison(name).arms if arm.name in ARMS})


def _of_curves(name: str, share: float) -> Source:
    arms = {arm.name: arm for arm in CURVES[name].arms}
    return Source(f"targets/{name}", {force: arms[f"{force}{AT}{share}"] for force in ARMS})


SETS = {name: _of_comparison(name) for name in ("digits", "mnist", "cifar10")}
SETS |= {f"targets, {name}, {share:.0%}": _of_curves(name, share) for name in CURVES for share in CURVES[name].targets}


def finetuned(source: Source, force: str, seed: int, factor: float, runs: Path) -> dict[str, float]:
    """Cut the network that a run had before its cut, and fine-tune it.

    Args:
        source: says network, data, target and epochs.
        force: what has pressed the network.
        seed: of the run, and of this fine-tuning.
        factor: learning rate of fine-tuning over that of training.
        runs: folder of all runs.

    Returns:
        Validation accuracy right after the cut, ``after``, and after the last epoch, ``final``.
    """
    arm = source.arms[force]
    start = runs / source.folder / arm.name / str(seed) / "sparsified.pt"
    at_once = (f"model.weights='{start}'", f"seed={seed}", "force=none", "trainer.max_epochs=0", "paths.output=unused")
    config = composed([*arm.overrides, *at_once])
    config.finetune.lr = factor * config.optimizer.lr
    L.seed_everything(seed, workers=True, verbose=False)
    data = build_data(config)
    with TemporaryDirectory() as folder:
        found = accuracy_of_phases(config, build_model(config, data), data, folder)
    return {"after": found["after_cut"], "final": found["final"]}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return validation accuracy in per cent, one row per data set and arm, one column per learning rate."""
    rows = dict.fromkeys((one["data"], one["arm"]) for one in found)
    return markdown(HEAD, [_cells([one for one in found if (one["data"], one["arm"]) == row]) for row in rows])


def _cells(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    seeds = {one["seed"]: 100 * one["val_accuracy"]["after"] for one in runs}
    ends = [[100 * one["val_accuracy"]["final"] for one in runs if one["factor"] == factor] for factor in FACTORS]
    after = spread(list(seeds.values()), "{:.2f}")
    return runs[0]["data"], runs[0]["arm"], str(len(seeds)), after, *(spread(end, "{:.2f}") for end in ends)


def _key(one: Mapping[str, Any]) -> tuple[int, int, int, float]:
    return list(SETS).index(one["data"]), ARMS.index(one["arm"]), one["seed"], one["factor"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    listed = ", ".join(SETS).replace("%", "%%")  # argparse takes a single one for a placeholder
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=listed)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    options = parser.parse_args(arguments)
    path = FOLDER / "results.json"
    found = stored(path)
    for name, arm, seed, factor in product(options.sets, options.arms, options.seeds, FACTORS):
        row: Result = {"data": name, "arm": arm, "seed": seed, "factor": factor}
        if _key(row) not in map(_key, found):
            scores = finetuned(SETS[name], arm, seed, factor, options.runs)
            found = sorted([*found, {**row, "val_accuracy": scores}], key=_key)
            save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
