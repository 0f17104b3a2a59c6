"""One network on one data set under several force laws, at the same target: what the experiments have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.bench import Arm, run_arms, save, table, write_table
from train import run


@dataclass(frozen=True)
class Comparison:
    """The dense network, trained as long as the others are pressed and fine-tuned together, and one arm per law.

    Attributes:
        name: of the experiment, the folder under ``experiments/``.
        overrides: of ``train.py`` that all arms share.
        macs: share of the MACs that every pruned network keeps.
        laws: names of ``conf/force``; ``none`` cuts the weakest channels of a network that no force has pressed.
        sparsify: epochs under force.
        finetune: epochs after the cut.
        seeds: random seeds.
    """

    name: str
    overrides: tuple[str, ...]
    macs: float
    laws: tuple[str, ...]
    sparsify: int
    finetune: int
    seeds: tuple[int, ...] = (0, 1, 2)

    @property
    def arms(self) -> list[Arm]:
        """The dense baseline first."""
        dense = (*self.overrides, "force=none", "target=none", "finetune=none")
        epochs = (f"trainer.max_epochs={self.sparsify}", f"finetune.epochs={self.finetune}")
        pruned = (*self.overrides, f"target.macs={self.macs}", *epochs)
        return [
            Arm("dense", (*dense, f"trainer.max_epochs={self.sparsify + self.finetune}")),
            *(Arm(law, (*pruned, f"force={law}")) for law in self.laws),
        ]

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run what is missing, then write results.json and the table of README.md, from the command line."""
        options = self._options(arguments)
        folder = Path(__file__).parent / self.name
        results = []
        for result in run_arms(self.arms, options.seeds, options.runs, run):
            results.append(result)
            save(
                results,
                f"python -m experiments.{self.name}.run {' '.join(sys.argv[1:])}".strip(),
                folder / "results.json",
            )
        write_table(folder / "README.md", table(results))

    def _options(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=f"The force laws compared: {self.name}.")
        parser.add_argument("--seeds", type=int, nargs="+", default=list(self.seeds))
        parser.add_argument("--runs", type=Path, default=Path("runs") / self.name, help="folder of the single runs")
        return parser.parse_args(arguments)
