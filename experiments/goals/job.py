"""Pressing, cutting and fine-tuning against as many epochs of dense training: ``python -m experiments.goals.job``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from statistics import median

import lightning as L
import torch

from experiments.assembly import build_data, build_model, build_pruning, build_trainer, composed
from experiments.goals.storing import Row, keep, write_page

SPARSIFY, FINETUNE, SEEDS = 8, 4, (0, 1, 2)
SHARED = ("experiment=demo", "logger=csv", "trainer.accelerator=cpu", "+trainer.enable_progress_bar=false")


def arms(sparsify: int, finetune: int) -> dict[str, tuple[str, ...]]:
    """Return the settings of the dense training and of the job, as many epochs each.

    >>> arms(8, 4)["dense"][-1]
    'trainer.max_epochs=12'
    """
    dense = ("force=none", "target=none", "finetune=none", f"trainer.max_epochs={sparsify + finetune}")
    job = ("force=exponential", "target.macs=0.4", f"trainer.max_epochs={sparsify}", f"finetune.epochs={finetune}")
    return {"dense": dense, "job": job}


def fitted(overrides: Sequence[str]) -> Row:
    """Return what one fit takes, in seconds of the clock and of the processor, with all that its callbacks write."""
    with tempfile.TemporaryDirectory() as folder:
        config = composed([*SHARED, *overrides, f"paths.output={folder}"])
        L.seed_everything(config.seed, workers=True, verbose=False)
        data = build_data(config)
        model = build_model(config, data)
        pruning, pruner = build_pruning(config)
        trainer = build_trainer(config, pruning)
        clock, processor = time.perf_counter(), time.process_time()
        trainer.fit(model, datamodule=data)
        times = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
    phases = pruner.report.seconds if pruner is not None and pruner.report is not None else {}
    return {**times, "phases": phases}


def measured(sparsify: int = SPARSIFY, finetune: int = FINETUNE, seeds: Sequence[int] = SEEDS) -> Row:
    """Return the median share of the job's time in that of the dense training of the same seed.

    Args:
        sparsify: epochs under force.
        finetune: epochs after the cut.
        seeds: one pair of fits each, one right after the other; every second pair begins with the job.
    """
    settings = arms(sparsify, finetune)
    fits: dict[str, list[Row]] = {name: [] for name in settings}
    for number, seed in enumerate(seeds):
        for name in sorted(settings, reverse=number % 2 == 1):
            fits[name].append(fitted([*settings[name], f"seed={seed}"]))
    row: Row = {"network": "resnet56 on digits", "way": "whole job", "sparsify": sparsify, "finetune": finetune}
    for kind in ("clock", "processor"):
        pairs = zip(fits["job"], fits["dense"], strict=True)
        row[f"{kind}_share"] = median(job[kind] / dense[kind] for job, dense in pairs)
    return {**row, "seeds": list(seeds), "fits": fits}


def main() -> None:
    """Measure and store."""
    torch.set_num_threads(1)
    keep("job", measured())
    write_page()


if __name__ == "__main__":
    main()
