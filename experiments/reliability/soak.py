"""Fit, cut and resume again and again in one process: ``python -m experiments.reliability.soak``.

Each cycle is a whole fit with a cut and two that are resumed from its checkpoints, before and after the cut, with a
worker process for the data. After every cycle memory is read, and what was left over is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import multiprocessing
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks
from torch.utils.data import DataLoader, TensorDataset

from experiments.reliability.page import write
from physprune_pl import physics_pruning
from physprune_pl.callbacks import AtomicCheckpointIO
from physprune_pl.reports.tables import markdown

# Buffers, caches and the allocator settle first.
WARM_UP = 0.25
EPOCHS = 2


class Small(L.LightningModule):
    """A convolutional classifier that trains in a blink."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.net(pictures)
        return scores

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:  # noqa: ARG002
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


@dataclass(frozen=True)
class Reading:
    """What one cycle left behind; all but time and memory should be the same after every one."""

    minutes: float
    resident_kib: int
    tensors: int
    hooks: int
    threads: int
    open_files: int
    processes: int
    temporary_files: int


def fit(folder: Path, checkpoint: Path | None = None) -> Small:
    """Train, cut and fine-tune, from the beginning or from a checkpoint."""
    model, generator = Small(), torch.Generator().manual_seed(3)
    pictures, labels = torch.randn(48, 1, 6, 6, generator=generator), torch.arange(48) % 2
    data = TensorDataset(pictures, labels)
    saver = ModelCheckpoint(folder, "{epoch}", monitor="val_loss", save_top_k=-1)
    pruning = physics_pruning("exponential", target={"macs": 0.5}, finetune_epochs=EPOCHS)
    trainer = L.Trainer(
        max_epochs=EPOCHS, callbacks=[saver, *pruning], plugins=AtomicCheckpointIO(), logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, log_every_n_steps=1,
    )  # fmt: skip
    batches, others = DataLoader(data, batch_size=16, num_workers=1), DataLoader(data, batch_size=16)
    trainer.fit(model, batches, others, ckpt_path=checkpoint)
    return model


def cycle(folder: Path) -> int:
    """Run one fit and resume it twice; return the number of hooks that are left on the networks."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        models = [fit(Path(own))]
        models += [fit(Path(own), Path(own) / f"epoch={epoch}.ckpt") for epoch in (EPOCHS - 1, EPOCHS)]
        return sum(hooks_of(module) for model in models for module in model.modules()) + hooks_of(global_hooks)


def hooks_of(owner: Any) -> int:
    """Number of hooks of a module, or of all modules."""
    return sum(len(hooks) for name, hooks in vars(owner).items() if name.endswith("_hooks") and isinstance(hooks, dict))


def read(start: float, hooks: int, temporary: Path) -> Reading:
    """Look at this process, once everything that nobody needs is gone."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Reading(
        minutes=(time.monotonic() - start) / 60,
        resident_kib=pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        tensors=sum(issubclass(type(one), Tensor) for one in gc.get_objects()),
        hooks=hooks,
        threads=threading.active_count(),
        open_files=len(os.listdir("/proc/self/fd")),
        processes=len(multiprocessing.active_children()),
        temporary_files=sum(1 for _ in temporary.rglob("*")),
    )


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[Path]:
    """Keep the temporary files of this process apart from those of others."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def soak(minutes: float) -> list[Reading]:
    """Run cycles for that long, but five at least, and read after each."""
    readings: list[Reading] = []
    with _own_temporary_folder() as folder:
        start = time.monotonic()
        while len(readings) < 5 or readings[-1].minutes < minutes:
            readings.append(read(start, cycle(folder), folder))
    return readings


def verdict(readings: list[Reading]) -> dict[str, Any]:
    """Return slope and growth of memory after the warm-up, and what was left over, the first and the last count."""
    settled = readings[int(len(readings) * WARM_UP) :]
    resident = [float(one.resident_kib) for one in settled]
    slope, _ = linear_regression(range(len(resident)), resident)
    hours = (settled[-1].minutes - settled[0].minutes) / 60
    left = {name: [getattr(settled[0], name), getattr(settled[-1], name)] for name in list(asdict(settled[0]))[2:]}
    return {
        "cycles": len(readings),
        "fits": 3 * len(readings),
        "minutes": round(readings[-1].minutes, 2),
        "resident_mib": round(mean(resident) / 1024, 1),
        "slope_kib_per_cycle": round(slope, 3),
        "slope_mib_per_hour": round(slope * (len(resident) - 1) / 1024 / hours, 3),
        "growth_percent": round(100 * slope * (len(resident) - 1) / resident[0], 3),
        "left_over": left,
    }


def table(found: dict[str, Any]) -> str:
    """Return what was found as markdown."""
    left = found["left_over"]
    rows = [
        ("cycles, each a fit and two resumed ones", f"{found['cycles']}"),
        ("minutes", f"{found['minutes']:.1f}"),
        ("memory in use (resident), mean", f"{found['resident_mib']:.1f} MiB"),
        ("slope of a line through it", f"{found['slope_kib_per_cycle']:.2f} KiB a cycle"),
        ("growth over the whole time", f"{found['growth_percent']:.2f} %"),
        *((f"{name.replace('_', ' ')}, first and last", f"{one}, {other}") for name, (one, other) in left.items()),
    ]
    return markdown(("what", "found"), rows)


def quiet() -> None:
    """Lightning has something to say of every fit, and here are thousands."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def main() -> None:
    """Soak, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    quiet()
    readings = soak(arguments.minutes)
    every = max(len(readings) // 60, 1)
    found = verdict(readings)
    write("soak", {**found, "readings": [asdict(one) for one in readings[::every]]}, table(found))


if __name__ == "__main__":
    main()
