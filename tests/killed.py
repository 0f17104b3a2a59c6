"""Runs of train.py that are killed like a process that is out of memory, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from configured import ADVICE, QUIET
from configured import config_of as composed
from forked import WORLD

from experiments import outcome
from physprune_pl.measure import measure_latency
from train import run

SETTINGS = (
    *("model=lenet5", "trainer=cpu", "data.batch_size=200", "trainer.max_epochs=2", "finetune.epochs=2", *QUIET),
    *("data.shift=1", "seed=4"),
)

Moment = Callable[[], None]


class Killer(L.Callback):
    """Ends its own process at the start of a training batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.moment = epoch, batch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def at_batch(epoch: int, batch: int) -> list[str]:
    """Overrides that kill a run at the start of a batch."""
    return [
        "+callbacks.killer._target_=killed.Killer",
        f"+callbacks.killer.epoch={epoch}",
        f"+callbacks.killer.batch={batch}",
    ]


def in_write(number: int) -> Moment:
    """Kill a run in the middle of a write of ``last.ckpt``, the first, second, ... of this process."""
    write, seen = torch.save, []

    def save(content: Any, path: Any, *arguments: Any, **options: Any) -> None:
        write(content, path, *arguments, **options)
        if "last.ckpt" in str(path) and (seen.append(path) or len(seen)) == number:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return partial(setattr, torch, "save", save)


def _child(folder: str, overrides: list[str], writing: int | None) -> None:
    torch.set_num_threads(1)
    for advice in ADVICE:
        warnings.filterwarnings("ignore", advice.removeprefix("ignore:"))
    outcome.measure_latency = partial(measure_latency, rounds=1, round_seconds=1e-3)
    if writing is not None:
        in_write(writing)()
    run(composed(*SETTINGS, f"paths.output={folder}", "ckpt_path=last", *overrides))


def started(folder: Path, *overrides: str, writing: int | None = None) -> Any:
    """Start or resume a run, in a process of its own."""
    process = WORLD.Process(target=_child, args=(str(folder), list(overrides), writing))
    process.start()
    return process


def warmed_up() -> None:
    """Wait until the server has imported everything, so that it does not count as time of the first run."""
    process = WORLD.Process(target=int)
    process.start()
    process.join()


def left(folder: Path) -> dict[str, Any]:
    """What a finished run has found out, without times, sizes in memory and paths."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    report = json.loads((folder / "report.json").read_text())
    for name in ("seconds", "latency_ms", "peak_memory_bytes", "command"):
        report.pop(name, None)
    callbacks = {name: dict(state) for name, state in checkpoint["callbacks"].items() if "ModelCheckpoint" not in name}
    for state in callbacks.values():
        for name in ("seconds", "peak_memory_bytes", "path"):
            state.pop(name, None)
    names = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    sparsified = torch.load(folder / "sparsified.pt", weights_only=True)
    return {"report": report, "callbacks": callbacks, "dense": sparsified, **{name: checkpoint[name] for name in names}}
