"""How far to press: ``python -m experiments.rest.run [--networks lenet5 resnet56]``.

Accuracy is judged on validation data, test data are not read.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import lightning as L

from experiments.bench.phases import accuracy_of_phases
from experiments.bench.runs import Result, save, stored, write_table
from experiments.steering.run import NETWORKS as STEERED
from experiments.steering.run import Setting
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.sweeps.figures import spread
from physprune_pl.pressing.steering import ARRIVAL, REST
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
SHARE = 0.2
NETWORKS = {
    name: Setting((*STEERED[name].overrides, "force=uniform"), STEERED[name].sparsify, STEERED[name].finetune)
    for name in ("lenet5", "resnet56")
}
# A law that presses some channels more than others brings them to zero early, and twice the epochs keep them there.
NETWORKS["resnet56, exponential"] = Setting((*STEERED["resnet56"].overrides, "force=exponential"), 40, 10)
NETWORKS["lenet5, MNIST"] = Setting(("data=mnist", "model=lenet5", "force=uniform"), 5, 2)
# The share of its starting strength at which a channel is pressed no further.
ARMS = {"as it is": REST, "no end": 0.0}
HEAD = ("network", "pressing", "seeds", "before the cut", "lost by the cut", "at the end", "time of an epoch")


class EpochTimer(L.Callback):
    """Processor time of every training epoch, in seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._begun = time.process_time()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Stop it."""
        self.seconds.append(time.process_time() - self._begun)


def run(network: str, arm: str, seed: int) -> Result:
    """Return validation accuracy before and after the cut and at the end, and the seconds of the epochs under force."""
    setting = NETWORKS[network]
    epochs = (f"trainer.max_epochs={setting.sparsify}", f"finetune.epochs={setting.finetune}")
    shared = (f"target.macs={SHARE}", *epochs, f"seed={seed}", "paths.output=unused")
    config = composed([*setting.overrides, *shared])
    L.seed_everything(seed, workers=True, verbose=False)
    data = build_data(config)
    model, timer = build_model(config, data), EpochTimer()
    with patch("physprune_pl.pressing.steering.REST", ARMS[arm]), TemporaryDirectory() as folder:
        found = accuracy_of_phases(config, model, data, folder, [timer])
    seconds = timer.seconds[: setting.sparsify]
    return {"network": network, "arm": arm, "seed": seed, "val_accuracy": found, "epoch_seconds": seconds}


def slowdown(seconds: Sequence[float]) -> float:
    """Return the time of an epoch after the chosen channels should be at zero, over that of one of the first half.

    >>> slowdown([2.0, 2.0, 2.0, 3.0, 5.0])
    2.5
    """
    return median(seconds[math.ceil(ARRIVAL * len(seconds)) :]) / median(seconds[: len(seconds) // 2])


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a markdown table, accuracies in per cent, one row per network and arm, mean ± deviation over the seeds."""
    rows = []
    for network, arm in product(NETWORKS, ARMS):
        runs = [one for one in found if (one["network"], one["arm"]) == (network, arm)]
        if runs:
            rows.append((network, arm, str(len(runs)), *_cells(runs)))
    return markdown(HEAD, rows)


def _cells(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    scores = [one["val_accuracy"] for one in runs]
    yield spread([100 * one["after_sparsify"] for one in scores], "{:.2f}")
    yield spread([100 * (one["after_sparsify"] - one["after_cut"]) for one in scores], "{:.2f}")
    yield spread([100 * one["final"] for one in scores], "{:.2f}")
    yield spread([slowdown(one["epoch_seconds"]) for one in runs], "{:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, the arms in turn, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    path = FOLDER / "results.json"
    found = stored(path)
    done = {(one["network"], one["arm"], one["seed"]) for one in found}
    for network, seed, arm in product(options.networks, options.seeds, ARMS):
        if (network, arm, seed) not in done:
            found.append(run(network, arm, seed))
            save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
