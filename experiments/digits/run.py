"""Every force law at the same target on handwritten digits: ``python -m experiments.digits.run``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.bench import Arm, run_arms, save, table, write_table
from train import run

HERE = Path(__file__).parent
LAWS = ("uniform", "torque", "exponential", "gravity", "gravity_literal", "electrostatic")

# The plain network is trained as long as the others are pressed and fine-tuned together.
DENSE = Arm("dense", ("experiment=demo", "force=none", "target=none", "finetune=none"))


def arms(sparsify: int, finetune: int) -> list[Arm]:
    """Return the dense baseline, no force at all, and the six laws, for phases of that many epochs."""
    epochs = (f"trainer.max_epochs={sparsify}", f"finetune.epochs={finetune}")
    dense = Arm(DENSE.name, (*DENSE.overrides, f"trainer.max_epochs={sparsify + finetune}"))
    return [dense, *(Arm(law, ("experiment=demo", f"force={law}", *epochs)) for law in ("none", *LAWS))]


def main() -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sparsify", type=int, default=40, help="epochs under force")
    parser.add_argument("--finetune", type=int, default=15, help="epochs after the cut")
    parser.add_argument("--runs", type=Path, default=Path("runs/digits"), help="folder of the single runs")
    options = parser.parse_args()
    results = []
    for result in run_arms(arms(options.sparsify, options.finetune), options.seeds, options.runs, run):
        results.append(result)
        save(results, f"python -m experiments.digits.run {' '.join(sys.argv[1:])}".strip(), HERE / "results.json")
    write_table(HERE / "README.md", table(results))


if __name__ == "__main__":
    main()
