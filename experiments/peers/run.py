"""Other pruning programs at the target of a comparison of ours: ``python -m experiments.peers.run [NAME ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.bench.comparisons import COMPARISONS
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Arm, Result, merged, run_arms, save, stored, table, write_table
from experiments.peers.fastnas import FastNAS
from experiments.peers.kirigami import Kirigami
from experiments.peers.masks import LightningMasks
from experiments.peers.phases import Peer, run
from experiments.peers.torch_pruning import TorchPruning
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.report import command_line

FOLDER = Path(__file__).parent
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
    "torch-kirigami": Program(Kirigami(), "torch-kirigami"),
    "torch-kirigami with full rate": Program(Kirigami(), "torch-kirigami", FULL_RATE),
    "Lightning ModelPruning": Program(LightningMasks(), "lightning"),
    "ModelOpt FastNAS": Program(FastNAS(), "nvidia-modelopt"),
}


@dataclass(frozen=True)
class Job:
    """What the programs of a table are asked to do.

    Attributes:
        comparison: of our laws, whose rows they stand beside.
        programs: names of those that are asked.
    """

    comparison: LawComparison
    programs: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file of its results."""
        return FOLDER / f"{self.comparison.name}.json"

    @property
    def overrides(self) -> tuple[str, ...]:
        """The settings that the programs share with the force laws; only the force is not theirs."""
        ours = self.comparison
        epochs = (f"trainer.max_epochs={ours.sparsify}", f"finetune.epochs={ours.finetune}")
        return (*ours.overrides, f"target.macs={ours.share}", *epochs, "force=none")

    def results(self, names: Sequence[str], seeds: Sequence[int], runs: Path) -> Iterator[Result]:
        """Yield the result of every program and seed; what has a report is not run again."""
        for name in names:
            program = PROGRAMS[name]
            peer = partial(run, program.peer, package=program.package)
            for result in run_arms([Arm(name, (*self.overrides, *program.overrides))], seeds, runs, peer):
                report = json.loads((runs / name / str(result["seed"]) / "report.json").read_text())
                yield {**result, "program": f"{program.package} {report['versions'][program.package]}"}

    def page(self, peers: Sequence[Result]) -> str:
        """Return the table: the rows of ours that the peers are compared with, then the peers, then wall times.

        Of ours there may be more seeds; the table has the same ones for all.
        """
        stored_ours = stored(FOLDER.parent / self.comparison.name / "results.json")
        ours = [one for one in stored_ours if one["arm"] in OURS and one["seed"] in SEEDS]
        return table([*ours, *peers]) + "\n" + _times([*ours, *peers])


# On photographs, where a run takes longer: what documentation shows first, and what mends our networks.
_PHOTOGRAPHS = (
    "Torch-Pruning GroupNormPruner",
    "Torch-Pruning BNScalePruner",
    "Torch-Pruning GroupNormPruner with full rate",
    "torch-kirigami",
    "torch-kirigami with full rate",
    "ModelOpt FastNAS",
)
JOBS: Mapping[str, Job] = {
    "digits": Job(COMPARISONS["digits"], tuple(PROGRAMS)),
    "cifar10": Job(COMPARISONS["cifar10"], _PHOTOGRAPHS),
}


def _times(found: Sequence[Result]) -> str:
    lines = ["| seconds | seeds | training before the cut | cut | fine-tuning |", "|---|---|---|---|---|"]
    for arm in dict.fromkeys(one["arm"] for one in found if one["seconds"]):
        runs = [one["seconds"] for one in found if one["arm"] == arm]
        cells = [spread([run[phase] for run in runs], "{:.1f}") for phase in ("sparsify", "cut", "finetune")]
        lines.append(f"| {' | '.join([arm, str(len(runs)), *cells])} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing of the named programs, all of the job if none is, then write its results and the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--job", choices=JOBS, default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--runs", type=Path, default=Path("runs/peers"), help="folder of the single runs")
    options = parser.parse_args(arguments)
    job = JOBS[options.job]
    if unknown := [name for name in options.names if name not in job.programs]:
        parser.error(f"NAME: expected some of {', '.join(job.programs)}, got {', '.join(unknown)}")
    for result in job.results(options.names or job.programs, options.seeds, options.runs / options.job):
        save(merged(stored(job.path), [result], list(PROGRAMS)), command_line(), job.path)
    write_table(FOLDER / "README.md", pages())


def pages() -> str:
    """Return the tables of all jobs that have results."""
    return "\n".join(
        f"`--job {name}`\n\n{job.page(stored(job.path))}" for name, job in JOBS.items() if job.path.exists()
    )


if __name__ == "__main__":
    main()
