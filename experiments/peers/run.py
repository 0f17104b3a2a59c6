"""Other pruning programs at the same target on handwritten digits: ``python -m experiments.peers.run [NAME ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.bench.comparisons import COMPARISONS
from experiments.bench.runs import Arm, Result, merged, run_arms, save, stored, table, write_table
from experiments.peers.fastnas import FastNAS
from experiments.peers.masks import LightningMasks
from experiments.peers.phases import Peer, run
from experiments.peers.torch_pruning import TorchPruning
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.report import command_line

FOLDER = Path(__file__).parent
_DIGITS = COMPARISONS["digits"]
OURS = ("dense", "none", "uniform", "exponential", "none with full rate", "uniform with full rate")
SEEDS = (0, 1, 2)
# Its script trains 100 epochs of 390 steps at a rate of 0.01 that falls to a hundredth: 8 times our sum of rates.
EIGHTFOLD = 4e-3
# Fine-tuned at the learning rate of the training, as two of our rows are.
FULL_RATE = ("finetune=full_rate",)


@dataclass(frozen=True)
class Program:
    """A row of the table.

    Attributes:
        peer: what to call.
        package: whose version counts.
        overrides: of ``train.py``, on top of what all share.
    """

    peer: Peer
    package: str
    overrides: tuple[str, ...] = ()


PROGRAMS: Mapping[str, Program] = {
    "Torch-Pruning GroupNormPruner": Program(TorchPruning("group_norm"), "torch-pruning"),
    "Torch-Pruning GroupNormPruner 8 reg": Program(TorchPruning("group_norm", EIGHTFOLD), "torch-pruning"),
    "Torch-Pruning BNScalePruner": Program(TorchPruning("bn_scale"), "torch-pruning"),
    "Torch-Pruning BNScalePruner 8 reg": Program(TorchPruning("bn_scale", EIGHTFOLD), "torch-pruning"),
    "Torch-Pruning GrowingRegPruner": Program(TorchPruning("growing_reg"), "torch-pruning"),
    "Torch-Pruning GroupNormPruner with full rate": Program(TorchPruning("group_norm"), "torch-pruning", FULL_RATE),
    "Torch-Pruning BNScalePruner with full rate": Program(TorchPruning("bn_scale"), "torch-pruning", FULL_RATE),
    "Torch-Pruning GrowingRegPruner with full rate": Program(TorchPruning("growing_reg"), "torch-pruning", FULL_RATE),
    "Lightning ModelPruning": Program(LightningMasks(), "lightning"),
    "ModelOpt FastNAS": Program(FastNAS(), "nvidia-modelopt"),
}


def overrides() -> tuple[str, ...]:
    """Return the settings that the peers share with the force laws on digits; only the force is not theirs."""
    epochs = (f"trainer.max_epochs={_DIGITS.sparsify}", f"finetune.epochs={_DIGITS.finetune}")
    return (*_DIGITS.overrides, f"target.macs={_DIGITS.share}", *epochs, "force=none")


def results(names: Sequence[str], seeds: Sequence[int], runs: Path) -> Iterator[Result]:
    """Yield the result of every program and seed; what has a report is not run again."""
    for name in names:
        program = PROGRAMS[name]
        peer = partial(run, program.peer, package=program.package)
        for result in run_arms([Arm(name, (*overrides(), *program.overrides))], seeds, runs, peer):
            report = json.loads((runs / name / str(result["seed"]) / "report.json").read_text())
            yield {**result, "program": f"{program.package} {report['versions'][program.package]}"}


def page(peers: Sequence[Result]) -> str:
    """Return the table: the rows of the digits that the peers are compared with, then the peers, then wall times.

    Of the digits there are more seeds; the table has the same ones for all.
    """
    digits = stored(FOLDER.parent / _DIGITS.name / "results.json")
    ours = [one for one in digits if one["arm"] in OURS and one["seed"] in SEEDS]
    return table([*ours, *peers]) + "\n" + _times([*ours, *peers])


def _times(found: Sequence[Result]) -> str:
    lines = ["| seconds | seeds | training before the cut | cut | fine-tuning |", "|---|---|---|---|---|"]
    for arm in dict.fromkeys(one["arm"] for one in found if one["seconds"]):
        runs = [one["seconds"] for one in found if one["arm"] == arm]
        cells = [spread([run[phase] for run in runs], "{:.1f}") for phase in ("sparsify", "cut", "finetune")]
        lines.append(f"| {' | '.join([arm, str(len(runs)), *cells])} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing of the named programs, all if none is, then write results.json and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--runs", type=Path, default=Path("runs/peers"), help="folder of the single runs")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in PROGRAMS]:
        parser.error(f"NAME: expected some of {', '.join(PROGRAMS)}, got {', '.join(unknown)}")
    path = FOLDER / "results.json"
    for result in results(options.names or list(PROGRAMS), options.seeds, options.runs):
        save(merged(stored(path), [result], list(PROGRAMS)), command_line(), path)
    write_table(FOLDER / "README.md", page(stored(path)))


if __name__ == "__main__":
    main()
