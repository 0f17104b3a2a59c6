"""One network on one data set under several force laws, at the same target: what the experiments have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.bench.runs import Arm, merged, run_arms, save, stored, table, write_table
from experiments.training.run import run
from physprune_pl.reports.report import command_line
from physprune_pl.targets.target import TargetKind


@dataclass(frozen=True)
class LawComparison:
    """The dense network, trained as long as the others are pressed and fine-tuned together, and one arm per law.

    Attributes:
        name: of the experiment, the folder under ``experiments/``.
        overrides: of ``train.py`` that all arms share.
        share: of the MACs, or of ``kind``, that every pruned network keeps.
        laws: names of ``conf/force``; ``none`` cuts the weakest channels of a network that no force has pressed.
        sparsify: epochs under force.
        finetune: epochs after the cut.
        seeds: random seeds.
        variants: further rows by name, each with overrides of ``train.py`` on top of what all arms share.
        kind: what the target is of, the one that the overrides choose from ``conf/target``.
    """

    name: str
    overrides: tuple[str, ...]
    share: float
    laws: tuple[str, ...]
    sparsify: int
    finetune: int
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: TargetKind = "macs"

    @property
    def arms(self) -> list[Arm]:
        """The dense baseline first."""
        dense = (*self.overrides, "force=none", "target=none", "finetune=none")
        epochs = (f"trainer.max_epochs={self.sparsify}", f"finetune.epochs={self.finetune}")
        pruned = (*self.overrides, f"target.{self.kind}={self.share}", *epochs)
        return [
            Arm("dense", (*dense, f"trainer.max_epochs={self.sparsify + self.finetune}")),
            *(Arm(law, (*pruned, f"force={law}")) for law in self.laws),
            *(Arm(name, (*pruned, *more)) for name, more in self.variants.items()),
        ]

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run what is missing, then write results.json and the table of README.md, from the command line.

        The dense network is always among what is run: reports compare with it. Other results stay as they are.
        """
        options = self._options(arguments)
        folder = Path(__file__).parents[1] / self.name
        path, names = folder / "results.json", [arm.name for arm in self.arms]
        chosen = [arm for arm in self.arms if arm.name in {names[0], *options.arms}]
        for result in run_arms(chosen, options.seeds, options.runs, run):
            save(merged(stored(path), [result], names), command_line(), path)
        write_table(folder / "README.md", table(stored(path)))

    def _options(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=f"The force laws compared: {self.name}.")
        parser.add_argument("--seeds", type=int, nargs="+", default=list(self.seeds))
        names = [arm.name for arm in self.arms]
        parser.add_argument("--arms", nargs="+", choices=names, default=names, metavar="ARM", help=", ".join(names))
        parser.add_argument("--runs", type=Path, default=Path("runs") / self.name, help="folder of the single runs")
        return parser.parse_args(arguments)
