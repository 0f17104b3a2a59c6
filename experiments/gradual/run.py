"""What gradual removal saves and costs: ``python -m experiments.gradual.run [--sets digits_small] [--seeds 0 1 2]``.

Every arm trains from scratch as many epochs in all as the dense network does; the arms of a seed run one after another,
so that what else the machine does meanwhile falls on all of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from math import ceil
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import lightning as L

from experiments.bench.comparisons import CIFAR10, ENCODER
from experiments.bench.paired import cell, points
from experiments.bench.runs import Result, write_table
from experiments.bench.studies import completed
from experiments.training.accelerated import ChannelsLast
from experiments.training.assembly import build_data, build_model, build_pruning, composed
from experiments.training.evaluation import evaluate
from experiments.training.hydra_versions import instantiate
from experiments.training.sweeps.figures import spread
from physprune_pl.removals import Gradual
from physprune_pl.reports.epoch_costs import shares_of_dense
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
HEAD: tuple[str, ...] = (
    "data",
    "removal",
    "force",
    "rate after the cut",
    "seeds",
    "MACs left",
    "test accuracy",
    "over once, points",
)
HEAD += ("cost: MACs", "cost: processor time", "cost: wall time", "groups not at zero")


# One removal as early as gradual removal has its last: what waves have to beat.
EARLY = "once, early"
SPLITS: tuple[Literal["val", "test"], ...] = ("val", "test")


@dataclass(frozen=True)
class Setting:
    """A job.

    Attributes:
        overrides: settings of ``train.py``: what is trained.
        macs: the share of them to which it is pruned.
        sparsify: epochs under the penalty.
        finetune: epochs after it.
        beside: kinds of callbacks that every fit of the job has, the dense one too.
    """

    overrides: Sequence[str]
    macs: float
    sparsify: int
    finetune: int
    beside: tuple[type[L.Callback], ...] = ()

    @property
    def dense(self) -> tuple[str, ...]:
        """What ``train.py`` is told for the network that is not pruned, trained for as many epochs in all."""
        epochs = self.sparsify + self.finetune
        return (*self.overrides, "force=none", "target=none", "finetune=none", f"trainer.max_epochs={epochs}")

    @property
    def shortened(self) -> Setting:
        """The same job with its cut where gradual removal has its last one, and as many epochs in all."""
        early = ceil(Gradual().until * self.sparsify)
        return replace(self, sparsify=early, finetune=self.sparsify + self.finetune - early)


# What makes a pruned network train faster, see experiments/step_costs.
EIGHTS = "round_to=8"
FASTER = (ChannelsLast,)
VGG11 = (*CIFAR10[:2], "model=vgg11_bn", *CIFAR10[3:], EIGHTS)
SETS = {
    "digits_small": Setting(("data=digits", "model=resnet20"), 0.4, 20, 8),
    "digits": Setting(("experiment=demo",), 0.3, 40, 15),
    "cifar10": Setting(CIFAR10, 0.4, 10, 3),
    "cifar10, float32": Setting((*CIFAR10[:3], EIGHTS), 0.4, 10, 3, FASTER),
    "cifar10, 5x": Setting((*CIFAR10[:3], EIGHTS), 0.2, 10, 3, FASTER),
    "cifar10, VGG-11": Setting(VGG11, 0.25, 10, 3, FASTER),
    "sst2": Setting(ENCODER, 0.333, 6, 2),
}


class Way(Protocol):
    """A way to do a job."""

    def overrides(self, job: Setting) -> tuple[str, ...]:
        """Return what ``train.py`` would be told."""


@dataclass(frozen=True)
class Arm:
    """How a job is done: when channels go (None: never), under which force, at which rate what is left is tuned."""

    removal: str | None = None
    force: str = "none"
    rate: str = "default"

    def overrides(self, job: Setting) -> tuple[str, ...]:
        """Return what ``train.py`` would be told."""
        if self.removal is None:
            return job.dense
        removal = "once" if self.removal == EARLY else self.removal
        force = (f"force={self.force}", f"removal={removal}", f"finetune={self.rate}")
        phases = job.shortened if self.removal == EARLY else job
        lengths = (f"trainer.max_epochs={phases.sparsify}", f"finetune.epochs={phases.finetune}")
        return (*job.overrides, *force, *lengths, f"target.macs={job.macs}")


DENSE = Arm()
FORCES, RATES = ("uniform", "exponential"), ("default", "full_rate")
ARMS = [DENSE, *(Arm(removal, *rest) for rest in product(FORCES, RATES) for removal in ("once", EARLY, "gradual"))]


def fitted(job: Setting, arm: Way, seed: int) -> Result:
    """Do a job once, and return accuracy on test data, costs and what was left; weights are those of the last epoch."""
    return _trained(arm.overrides(job), job.beside, seed)


@cache  # jobs that differ in their target alone share the dense fit
def _trained(overrides: tuple[str, ...], beside: tuple[type[L.Callback], ...], seed: int) -> Result:
    with TemporaryDirectory() as folder:
        config = composed([*overrides, f"seed={seed}", f"paths.output={folder}"])
        L.seed_everything(seed, workers=True, verbose=False)
        data = build_data(config)
        model = build_model(config, data)
        callbacks, cutter = build_pruning(config)
        quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer: L.Trainer = instantiate(
            config.trainer,
            callbacks=[*(kind() for kind in beside), *callbacks],
            accelerator="cpu",
            num_sanity_val_steps=0,
            default_root_dir=folder,
            **quiet,
        )
        wall, processor = time.monotonic(), time.process_time()
        trainer.fit(model, datamodule=data)
        seconds = {"wall": time.monotonic() - wall, "processor": time.process_time() - processor}
        scores = {
            split: evaluate({"final": model}, data, trainer.strategy.root_device, split)["final"] for split in SPLITS
        }
    row: Result = {"accuracy": scores, "seconds": seconds, "macs_share": 1.0, "cost": 1.0, "not_arrived": []}
    if cutter is None or cutter.report is None:
        return row
    report = cutter.report
    kept = {"macs_share": report.macs["pruned"] / report.macs["dense"], "epochs": dict(report.epochs)}
    cost = shares_of_dense(report.epochs, report.macs["dense"])["MACs"]
    moments = {"moments": dict(report.metric)}  # on validation data
    return {**row, **kept, **moments, "cost": cost, "not_arrived": report.not_arrived}


def table(found: Sequence[Result]) -> str:
    """Return a row per data set and arm; costs are over those of the dense network of the same seed."""
    rows = dict.fromkeys((one["data"], _arm(one)) for one in found)
    return markdown(HEAD, [_cells(found, *row) for row in rows])


def _arm(one: Mapping[str, Any]) -> Arm:
    return Arm(one["removal"], one["force"], one["rate"])


def _cells(found: Sequence[Result], data: str, arm: Arm) -> tuple[str, ...]:
    runs, dense = _by_seed(found, data, arm), _by_seed(found, data, DENSE)
    rivals = _by_seed(found, data, Arm("once", arm.force, arm.rate))
    scores = {seed: 100 * float(one["accuracy"]["test"]) for seed, one in runs.items()}
    over = [points(scores[seed] / 100 - rivals[seed]["accuracy"]["test"]) for seed in scores if seed in rivals]
    share = mean(one["macs_share"] for one in runs.values())
    accuracy = spread(list(scores.values()), "{:.2f}")
    cost = spread([one["cost"] for one in runs.values()], "{:.2f}")
    times = [spread(_ratios(runs, dense, kind), "{:.2f}") for kind in ("processor", "wall")]
    late = spread([len(one["not_arrived"]) for one in runs.values()], "{:.1f}")
    name = (data, arm.removal or "dense", arm.force, arm.rate, str(len(runs)), f"{share:.1%}", accuracy)
    return (*name, cell(over) if arm.removal in ("gradual", EARLY) else "-", cost, *times, late)


def _by_seed(found: Sequence[Result], data: str, arm: Arm) -> dict[int, Result]:
    return {one["seed"]: one for one in found if (one["data"], _arm(one)) == (data, arm)}


def _ratios(runs: Mapping[int, Result], dense: Mapping[int, Result], kind: str) -> list[float]:
    return [one["seconds"][kind] / dense[seed]["seconds"][kind] for seed, one in runs.items() if seed in dense]


def _key(one: Mapping[str, Any]) -> tuple[int, int, int]:
    return list(SETS).index(one["data"]), ARMS.index(_arm(one)), one["seed"]


def _fit(row: Result) -> Result:
    return fitted(SETS[row["data"]], _arm(row), row["seed"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, default=["digits_small"], metavar="SET", help=", ".join(SETS)
    )
    parser.add_argument("--forces", nargs="+", choices=FORCES, default=list(FORCES))
    parser.add_argument("--rates", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if arm == DENSE or (arm.force in options.forces and arm.rate in options.rates)]
    wanted: list[Result] = [
        {"data": name, "removal": arm.removal, "force": arm.force, "rate": arm.rate, "seed": seed}
        for name, seed, arm in product(options.sets, options.seeds, arms)
    ]
    found = completed(FOLDER / "results.json", wanted, _key, _fit)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
