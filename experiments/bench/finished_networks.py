"""Experiments that look once more at the networks of a comparison, whose runs are made where they are missing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Arm, Result, save, write_table
from experiments.training.assembly import composed
from experiments.training.run import run
from physprune_pl.reports.report import command_line

Figures = Callable[[DictConfig, Path], Result]


def results(arms: Sequence[Arm], seeds: Sequence[int], runs: Path, figures: Figures) -> Iterator[Result]:
    """Yield the figures of every arm and seed; a run that has no report yet is made first."""
    for arm in arms:
        for seed in seeds:
            folder = runs / arm.name / str(seed)
            config = composed([*arm.overrides, f"seed={seed}", f"paths.output={folder}"])
            if not (folder / "report.json").exists():
                run(config)
            yield {"arm": arm.name, "seed": seed, "overrides": list(arm.overrides), **figures(config, folder)}


def look_again(
    comparison: LawComparison,
    figures: Figures,
    table: Callable[[Sequence[Result]], str],
    about: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run what is missing, then write results.json and the table of README.md, from the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(comparison.seeds))
    parser.add_argument("--runs", type=Path, default=Path("runs") / comparison.name, help="folder of the single runs")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parents[1] / comparison.name
    # The first arm is the dense network, of which nothing is cut.
    found = list(results(comparison.arms[1:], options.seeds, options.runs, figures))
    save(found, command_line(), folder / "results.json")
    write_table(folder / "README.md", table(found))
