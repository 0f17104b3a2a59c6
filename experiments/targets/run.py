"""The laws from mild to strong compression: ``python -m experiments.targets.run [--sets digits mnist]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence, Set
from itertools import product
from pathlib import Path

from experiments.bench.comparisons import LAWS
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import AT, merged, run_arms, save, stored, write_table
from experiments.targets.curves import Curves, tables
from experiments.targets.picture import draw
from experiments.training.run import run
from physprune_pl.reports.report import command_line

FOLDER = Path(__file__).parent
ALL = ("none", *LAWS)
SETS = {
    "digits": Curves(
        LawComparison("targets", ("experiment=demo", "model=resnet20"), 0.5, ALL, sparsify=20, finetune=10),
        (0.3, 0.15, 0.07),
    ),
    "mnist": Curves(
        LawComparison("targets", ("data=mnist", "model=lenet5"), 0.5, ALL, sparsify=5, finetune=2), (0.2, 0.1)
    ),
}


def page() -> str:
    """Return the tables of every data set of which something was run."""
    found = {name: stored(FOLDER / f"{name}.json") for name in SETS}
    return "\n".join(f"{name}:\n\n{tables(results)}" for name, results in found.items() if results)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the results, the pictures and the tables of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--laws", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--shares", nargs="+", type=float, help="targets, as shares of the MACs; without it all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs") / "targets", help="folder of the single runs")
    options = parser.parse_args(arguments)
    for name in options.sets:
        shares = options.shares or SETS[name].targets
        if unknown := sorted(set(shares) - set(SETS[name].targets)):
            parser.error(f"--shares: expected some of {SETS[name].targets} for {name}, got {unknown}")
        wanted = {f"{law}{AT}{share}" for law, share in product(options.laws, shares)}
        _run(name, wanted, options.seeds, options.runs)
    write_table(FOLDER / "README.md", page())


def _run(name: str, wanted: Set[str], seeds: Sequence[int], runs: Path) -> None:
    path, arms = FOLDER / f"{name}.json", SETS[name].arms
    chosen = [arms[0], *(arm for arm in arms[1:] if arm.name in wanted)]
    for result in run_arms(chosen, seeds, runs / name, run):
        save(merged(stored(path), [result], [arm.name for arm in arms]), command_line(), path)
    draw(stored(path), FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
