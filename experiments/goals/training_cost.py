"""Pressing, cutting and fine-tuning against dense training as long: ``python -m experiments.goals.training_cost``."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import lightning as L
import torch

from experiments.goals.stored_figures import Row, keep, write_page
from experiments.training.assembly import build_data, build_model, build_pruning, build_trainer, composed

SHARED = ("logger=csv", "trainer.accelerator=cpu", "+trainer.enable_progress_bar=false")


@dataclass(frozen=True)
class TrainingCase:
    """What is trained, and for how long.

    Attributes:
        overrides: settings of ``train.py``.
        sparsify: epochs under force.
        finetune: epochs after the cut.
        seeds: one pair of fits each, one right after the other; every second pair begins with the job.
    """

    overrides: tuple[str, ...]
    sparsify: int
    finetune: int
    seeds: tuple[int, ...]


CASES = {
    "resnet56 on digits": TrainingCase(("experiment=demo",), 8, 4, (0, 1, 2)),
    "resnet20 on cifar10": TrainingCase(
        ("data=cifar10", "data.verify=false", "model=resnet20", "finetune=short"), 4, 2, (0,)
    ),
}


def arms(sparsify: int, finetune: int) -> dict[str, tuple[str, ...]]:
    """Return the settings of the dense training and of the job, as many epochs each.

    >>> arms(8, 4)["dense"][-1]
    'trainer.max_epochs=12'
    """
    dense = ("force=none", "target=none", "finetune=none", f"trainer.max_epochs={sparsify + finetune}")
    job = ("force=exponential", "target.macs=0.4", f"trainer.max_epochs={sparsify}", f"finetune.epochs={finetune}")
    return {"dense": dense, "job": job}


def fitted(overrides: Sequence[str], left_out: tuple[type[L.Callback], ...] = ()) -> Row:
    """Return what one fit takes, in seconds of the clock and of the processor, with all that its callbacks write.

    Args:
        overrides: settings of ``train.py``.
        left_out: kinds of callbacks that the fit goes without.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = composed([*SHARED, *overrides, f"paths.output={folder}"])
        L.seed_everything(config.seed, workers=True, verbose=False)
        data = build_data(config)
        model = build_model(config, data)
        pruning, pruner = build_pruning(config)
        trainer = build_trainer(config, [one for one in pruning if not isinstance(one, left_out)])
        clock, processor = time.perf_counter(), time.process_time()
        trainer.fit(model, datamodule=data)
        times = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
    phases = pruner.report.seconds if pruner is not None and pruner.report is not None else {}
    return {**times, "phases": phases}


def measured(name: str, case: TrainingCase) -> Row:
    """Return the median share of the job's time in that of the dense training of the same seed."""
    settings = arms(case.sparsify, case.finetune)
    fits: dict[str, list[Row]] = {arm: [] for arm in settings}
    for number, seed in enumerate(case.seeds):
        for arm in sorted(settings, reverse=number % 2 == 1):
            fits[arm].append(fitted([*case.overrides, *settings[arm], f"seed={seed}"]))
    row: Row = {"network": name, "way": "whole job", "sparsify": case.sparsify, "finetune": case.finetune}
    for kind in ("clock", "processor"):
        pairs = zip(fits["job"], fits["dense"], strict=True)
        row[f"{kind}_share"] = median(job[kind] / dense[kind] for job, dense in pairs)
    return {**row, "seeds": list(case.seeds), "fits": fits}


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    torch.set_num_threads(1)
    for name in parser.parse_args().cases:
        keep("job", measured(name, CASES[name]))
    write_page()


if __name__ == "__main__":
    main()
