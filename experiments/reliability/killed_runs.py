"""Runs of train.py that are killed like a process that is out of memory, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import lightning as L
import torch

from experiments.reliability.processes import WORLD
from experiments.training import outcome
from experiments.training.assembly import composed
from experiments.training.run import run
from physprune_pl.latency.race import measure_latency

EPOCHS = 2
SETTINGS = (
    *(
        "model=lenet5",
        "trainer=cpu",
        "data.batch_size=200",
        f"trainer.max_epochs={EPOCHS}",
        f"finetune.epochs={EPOCHS}",
    ),
    *("data.shift=1", "seed=4", "+trainer.enable_progress_bar=false", "logger=none"),
)

Moment = Callable[[], None]


class Killer(L.Callback):
    """Ends its own process at the start of a training batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.moment = epoch, batch

    def on_train_batch_start(self, trainer: L.Trainer, *arguments: Any) -> None:
        """Kill, if this is the moment; the last argument is the index of the batch."""
        if (trainer.current_epoch, arguments[-1]) == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def at_batch(epoch: int, batch: int) -> list[str]:
    """Overrides that kill a run at the start of a batch."""
    return [
        "+callbacks.killer._target_=experiments.reliability.killed_runs.Killer",
        f"+callbacks.killer.epoch={epoch}",
        f"+callbacks.killer.batch={batch}",
    ]


def in_write(number: int) -> Moment:
    """Kill a run in the middle of a write of ``last.ckpt``, the first, second, ... of this process."""
    write, seen = torch.save, count(1)

    def save(content: Any, path: Any, *arguments: Any, **options: Any) -> None:
        write(content, path, *arguments, **options)
        if "last.ckpt" in str(path) and next(seen) == number:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return partial(setattr, torch, "save", save)


def _child(folder: str, overrides: list[str], writing: int | None) -> None:
    torch.set_num_threads(1)
    # Lightning's advice about tiny runs, and about resuming.
    warnings.filterwarnings("ignore")
    setattr(outcome, "measure_latency", partial(measure_latency, rounds=1, round_seconds=1e-3))  # noqa: B010
    if writing is not None:
        in_write(writing)()
    run(composed([*SETTINGS, f"paths.output={folder}", "ckpt_path=last", *overrides]))


def started(folder: Path, *overrides: str, writing: int | None = None) -> Any:
    """Start or resume a run, in a process of its own."""
    process = WORLD.Process(target=_child, args=(str(folder), list(overrides), writing))
    process.start()
    return process


def left(folder: Path) -> dict[str, Any]:
    """What a finished run has found out, without times, sizes in memory and paths."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    report = json.loads((folder / "report.json").read_text())
    for name in ("seconds", "latency_ms", "peak_memory_bytes", "command"):
        report.pop(name, None)
    report["fit"].pop("checkpoint")
    report["epochs"].pop("seconds")
    callbacks = {name: dict(state) for name, state in checkpoint["callbacks"].items() if "ModelCheckpoint" not in name}
    for state in callbacks.values():
        for name in ("seconds", "latency_ms", "epoch_seconds", "peak_memory_bytes", "path"):
            state.pop(name, None)
    names = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    sparsified = torch.load(folder / "sparsified.pt", weights_only=True)
    return {"report": report, "callbacks": callbacks, "dense": sparsified, **{name: checkpoint[name] for name in names}}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Return where two nested results differ, in type, names or a single bit.

    >>> differences({"a": [1, 2], "b": {"c": 3}}, {"a": [1, 5], "b": {"d": 3}})
    ['/a/1', '/b']
    """
    if type(one) is not type(other):
        return [path]
    if isinstance(one, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        return [] if same and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True) else [path]
    if not isinstance(one, dict | list | tuple):
        return [] if one == other else [path]
    parts, others = (part if isinstance(part, dict) else dict(enumerate(part)) for part in (one, other))
    if parts.keys() != others.keys():
        return [path]
    return [place for name in parts for place in differences(parts[name], others[name], f"{path}/{name}")]
