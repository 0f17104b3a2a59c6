"""Which channels to remove, by strength, law or gradients: ``python -m experiments.importance.run [--sets digits]``.

All arms have the same network, data, epochs in all and target; those of a seed run one after another.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean

from experiments.bench.comparisons import CIFAR10
from experiments.bench.paired import cell, points
from experiments.bench.runs import Result, write_table
from experiments.bench.studies import completed
from experiments.gradual.run import Setting, fitted
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
HEAD: tuple[str, ...] = ("data", "force", "select", "seeds", "MACs left", "before the cut, val", "right after, val")
HEAD += ("test accuracy", "over strength, points", "processor time", "groups not at zero")

SETS = {
    "digits": Setting(("data=digits", "model=resnet20"), 0.15, 12, 4),
    "cifar10": Setting(CIFAR10, 0.4, 10, 3),
    "cifar10, 5x": Setting(CIFAR10, 0.2, 10, 3),
}
BY = "{{_target_:physprune_pl.selections.{},scale:none}}"
SELECTIONS = {
    **{name: name for name in ("strength", "law", "taylor")},
    "strength, no scale": BY.format("ByStrength"),
    "taylor, no scale": BY.format("ByTaylor"),
}
"""Name in the table -> what ``train.py`` is told."""


@dataclass(frozen=True)
class Arm:
    """A force, and what selects the channels that are removed (None: none are, and there is no force)."""

    force: str = "none"
    select: str | None = None

    def overrides(self, job: Setting) -> tuple[str, ...]:
        """Return what ``train.py`` would be told."""
        if self.select is None:
            return job.dense
        lengths = (f"trainer.max_epochs={job.sparsify}", f"finetune.epochs={job.finetune}")
        return (
            *job.overrides,
            *lengths,
            f"force={self.force}",
            f"target.macs={job.macs}",
            f"select={SELECTIONS[self.select]}",
        )


DENSE = Arm()
FORCES = ("none", "uniform", "exponential")
# Under the uniform law, and under none, a law chooses nothing.
ARMS = [
    DENSE,
    *(Arm(*one) for one in product(FORCES, SELECTIONS) if one[1] != "law" or one[0] == "exponential"),
]
DEFAULT = ("strength", "law", "taylor")


def table(found: Sequence[Result]) -> str:
    """Return a row per data set and arm, compared seed by seed with the choice by strength under the same force."""
    rows = dict.fromkeys((one["data"], _arm(one)) for one in found)
    return markdown(HEAD, [_cells(found, *row) for row in rows])


def _arm(one: Result) -> Arm:
    return Arm(one["force"], one["select"])


def _by_seed(found: Sequence[Result], data: str, arm: Arm) -> dict[int, Result]:
    return {one["seed"]: one for one in found if (one["data"], _arm(one)) == (data, arm)}


def _cells(found: Sequence[Result], data: str, arm: Arm) -> tuple[str, ...]:
    runs, rivals = _by_seed(found, data, arm), _by_seed(found, data, Arm(arm.force, "strength"))
    scores = {seed: one["accuracy"]["test"] for seed, one in runs.items()}
    over = [points(score - rivals[seed]["accuracy"]["test"]) for seed, score in scores.items() if seed in rivals]
    share = mean(one["macs_share"] for one in runs.values())
    name = (data, arm.force, arm.select or "dense", str(len(runs)), f"{share:.1%}")
    before, after = (_moment(runs, moment) for moment in ("after_sparsify", "after_cut"))
    accuracy = spread([100 * score for score in scores.values()], "{:.2f}")
    time = spread([one["seconds"]["processor"] for one in runs.values()], "{:.0f} s")
    late = spread([len(one["not_arrived"]) for one in runs.values()], "{:.1f}")
    gain = "-" if arm.select in (None, "strength") else cell(over)
    return (*name, before, after, accuracy, gain, time, late)


def _moment(runs: Mapping[int, Result], moment: str) -> str:
    found = [100 * one["moments"][moment] for one in runs.values() if "moments" in one]
    return spread(found, "{:.2f}") if found else "-"


def _key(one: Result) -> tuple[int, int, int]:
    return list(SETS).index(one["data"]), ARMS.index(_arm(one)), one["seed"]


def _fit(row: Result) -> Result:
    return fitted(SETS[row["data"]], _arm(row), row["seed"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["digits"], metavar="SET", help=", ".join(SETS))
    parser.add_argument("--forces", nargs="+", choices=FORCES, default=list(FORCES))
    parser.add_argument("--selections", nargs="+", choices=SELECTIONS, default=list(DEFAULT))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if arm == DENSE or (arm.force in options.forces and arm.select in options.selections)]
    wanted: list[Result] = [
        {"data": name, **asdict(arm), "seed": seed} for name, seed, arm in product(options.sets, options.seeds, arms)
    ]
    found = completed(FOLDER / "results.json", wanted, _key, _fit)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
