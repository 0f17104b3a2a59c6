"""Variants of steering: ``python -m experiments.steering.run [--networks lenet5 resnet56 resnet20_cifar10]``.

Everything is judged on validation data, test data are not read: a variant that wins here may become the default.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L

from experiments.bench.comparisons import COMPARISONS
from experiments.bench.phases import accuracy_of_phases
from experiments.bench.runs import Result, save, stored, write_table
from experiments.steering.variants import DENSE, DENSE_ADAMW, VARIANTS, Variant
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.report import command_line

FOLDER = Path(__file__).parent
SHARES = (0.4, 0.2)
SEEDS = (0, 1, 2)
HEAD = (
    "network",
    "MACs",
    "variant",
    "seeds",
    "before the cut",
    "lost to the dense one",
    "lost by the cut",
    "at the end",
)


@dataclass(frozen=True)
class Setting:
    """A network with its data, and the epochs under force and after the cut."""

    overrides: tuple[str, ...]
    sparsify: int
    finetune: int


_CIFAR10 = COMPARISONS["cifar10"]
NETWORKS = {
    "lenet5": Setting(("experiment=demo", "model=lenet5"), 20, 5),
    "resnet56": Setting(("experiment=demo", "model=resnet56"), 20, 5),
    "resnet20_cifar10": Setting(_CIFAR10.overrides, _CIFAR10.sparsify, _CIFAR10.finetune),
}


@dataclass(frozen=True)
class VariantRun:
    """One run: a network, a share of the MACs to keep, a variant and a seed."""

    network: str
    share: float
    variant: Variant
    seed: int

    @property
    def key(self) -> tuple[str, float, str, int]:
        """What tells it from the others."""
        return self.network, self.share, self.variant.name, self.seed

    def overrides(self, share: float, epochs: int, finetune: int) -> list[str]:
        """Return the settings of one of its fits."""
        where = [*NETWORKS[self.network].overrides, f"seed={self.seed}", "paths.output=unused"]
        epochs_of = [f"trainer.max_epochs={epochs}", f"finetune.epochs={finetune}"]
        return [*where, f"target.macs={share}", *epochs_of, "force=uniform", *self.variant.overrides]


def jobs(
    networks: Sequence[str],
    seeds: Sequence[int],
    variants: Sequence[Variant] = VARIANTS,
    shares: Sequence[float] = SHARES,
) -> Iterator[VariantRun]:
    """Yield all runs, one seed after the other, first the dense networks that the variants are compared with."""
    compared = {variant.dense for variant in variants}
    for seed, network in product(seeds, networks):
        yield from (VariantRun(network, 1.0, dense, seed) for dense in (DENSE, DENSE_ADAMW) if dense.name in compared)
        yield from (VariantRun(network, share, variant, seed) for share, variant in product(shares, variants))


def run(job: VariantRun) -> Result:
    """Return the validation accuracy of a run before the cut, right after it, and after fine-tuning.

    With several cuts "before" is before the first and "after" after the last, and all fits but the last end with the
    cut; "lost" is what all cuts together took.
    """
    L.seed_everything(job.seed, workers=True, verbose=False)
    cuts, setting = job.variant.cuts, NETWORKS[job.network]
    config = composed(job.overrides(job.share ** (1 / cuts), setting.sparsify, setting.finetune))
    data = build_data(config)
    model = build_model(config, data)
    metrics = []
    with job.variant.exchanged(), TemporaryDirectory() as folder:
        for number in range(cuts):
            epochs = setting.sparsify * (number + 1) // cuts - setting.sparsify * number // cuts
            last = number == cuts - 1
            metrics.append(_fitted(job, model, data, epochs, setting.finetune if last else 0, folder))
    lost = sum(one["after_sparsify"] - one["after_cut"] for one in metrics)
    final = metrics[-1]
    found = {"before": final["after_cut"] + lost, "after": final["after_cut"], "lost": lost, "final": final["final"]}
    network, share, variant, seed = job.key
    return {"network": network, "share": share, "variant": variant, "seed": seed, "val_accuracy": found}


def _fitted(
    job: VariantRun, model: Supervised, data: LabelledData, epochs: int, finetune: int, folder: str
) -> dict[str, float]:
    config = composed(job.overrides(job.share ** (1 / job.variant.cuts), epochs, finetune))
    return accuracy_of_phases(config, model, data, folder)


def table(found: Sequence[Result]) -> str:
    """Return a markdown table in per cent, one row per network, share and variant, mean ± deviation over the seeds."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    dense = {
        (one["network"], one["variant"], one["seed"]): one["val_accuracy"]["final"]
        for one in found
        if one["share"] == 1.0
    }
    rows = dict.fromkeys((one["network"], one["share"], one["variant"]) for one in found)
    for row in sorted(rows, key=_place):
        runs = [one for one in found if (one["network"], one["share"], one["variant"]) == row]
        lines.append(f"| {' | '.join(_cells(row, runs, dense))} |")
    return "\n".join(lines) + "\n"


def _place(row: tuple[str, float, str]) -> tuple[int, float, int]:
    names = [one.name for one in (DENSE, DENSE_ADAMW, *VARIANTS)]
    return list(NETWORKS).index(row[0]), -row[1], names.index(row[2])


def _cells(
    row: tuple[str, float, str], runs: Sequence[Result], dense: dict[tuple[str, str, int], float]
) -> Iterator[str]:
    scores = [run["val_accuracy"] for run in runs]
    unpressed = next(one.dense for one in (DENSE, DENSE_ADAMW, *VARIANTS) if one.name == row[2])
    pressed = [dense[row[0], unpressed, run["seed"]] - run["val_accuracy"]["before"] for run in runs]
    yield from (row[0], f"{row[1]:.0%}", row[2], str(len(runs)))
    yield spread([100 * one["before"] for one in scores], "{:.2f}")
    yield spread([100 * lost for lost in pressed], "{:.2f}")
    yield spread([100 * one["lost"] for one in scores], "{:.2f}")
    yield spread([100 * one["final"] for one in scores], "{:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--shares", type=float, nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    names = [variant.name for variant in VARIANTS]
    listed = ", ".join(names).replace("%", "%%")  # argparse takes a single one for a placeholder
    parser.add_argument("--variants", nargs="+", choices=names, default=names, metavar="VARIANT", help=listed)
    options = parser.parse_args(arguments)
    chosen = [variant for variant in VARIANTS if variant.name in options.variants]
    path = FOLDER / "results.json"
    found = stored(path)
    done = {(one["network"], one["share"], one["variant"], one["seed"]) for one in found}
    for job in jobs(options.networks, options.seeds, chosen, options.shares):
        if job.key not in done:
            found.append(run(job))
            save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
