"""Kill train.py at random moments, resume it, compare: ``python -m experiments.reliability.kills``.

Each run is killed like a process that is out of memory (SIGKILL), once, and resumed with the same command. What it
leaves (weights, plan, optimizer, steering, history, random states, report) is compared with what the uninterrupted run
left, bit for bit.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.reliability.killed_runs import EPOCHS, differences, left, started
from experiments.reliability.page import write
from experiments.reliability.processes import warmed_up
from physprune_pl.reports.tables import markdown


@dataclass(frozen=True)
class Kill:
    """One run that was killed: when, what was on the disk then, and whether it came out right."""

    seed: int
    killed_at: str
    checkpoint: str
    resumed: bool
    equal: bool
    differences: list[str]
    parts_left: int


def uninterrupted(folder: Path) -> tuple[dict[str, Any], float]:
    """Run once without a kill; return what it leaves and its seconds."""
    start = time.monotonic()
    process = started(folder)
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the run failed with exit code {process.exitcode}")
    return left(folder), time.monotonic() - start


def kill_at(folder: Path, seconds: float) -> str:
    """Start a run and kill it after some seconds."""
    process = started(folder)
    process.join(seconds)
    over = process.exitcode is not None
    process.kill()
    process.join()
    return f"{seconds:.2f} s" + (" (it was over)" if over else "")


def kill_in_write(folder: Path, number: int) -> str:
    """Start a run and let it be killed in the middle of a write of its checkpoint."""
    process = started(folder, writing=number)
    process.join()
    if process.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"expected the run to be killed in write {number}, got exit code {process.exitcode}")
    return f"write {number} of the checkpoint"


def found(folder: Path) -> str:
    """Say what the kill left to resume from."""
    path = folder / "checkpoints" / "last.ckpt"
    if not path.exists():
        return "none"
    # A checkpoint that is half a file would not load.
    checkpoint = torch.load(path, weights_only=True)
    plans = [state.get("plan") for state in checkpoint["callbacks"].values() if isinstance(state, dict)]
    return f"epoch {checkpoint['epoch'] + 1}, {'cut' if any(plans) else 'dense'}"


def killed(seed: int, moment: str, folder: Path, whole: dict[str, Any]) -> Kill:
    """Resume a run that was killed, and compare."""
    checkpoint = found(folder)
    process = started(folder)
    process.join()
    resumed = process.exitcode == 0
    places = differences(whole, left(folder)) if resumed else ["not finished"]
    parts = sum(1 for _ in folder.rglob("*.part"))
    return Kill(seed, moment, checkpoint, resumed, not places, places[:5], parts)


def kills(moments: int, whole: dict[str, Any], seconds: float, folder: Path) -> Iterator[Kill]:
    """Kill at so many random times, and in each write of the checkpoint."""
    for seed in range(moments):
        own = folder / f"at{seed}"
        yield killed(seed, kill_at(own, random.Random(seed).uniform(0.0, seconds)), own, whole)
    for number in range(1, 2 * EPOCHS + 1):
        own = folder / f"write{number}"
        yield killed(number, kill_in_write(own, number), own, whole)


def table(found: Sequence[Kill], seconds: float) -> str:
    """Return the count and one row for each kill."""
    resumed, equal = sum(one.resumed for one in found), sum(one.equal for one in found)
    text = f"{len(found)} kills, {resumed} resumed to the end, {equal} equal; uninterrupted, {seconds:.1f} s.\n\n"
    rows = [
        (one.killed_at, one.checkpoint, *("yes" if good else "no" for good in (one.resumed, one.equal)))
        for one in found
    ]
    return text + markdown(("killed at", "checkpoint then", "resumed", "equal"), rows)


def main() -> None:
    """Kill, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warmed_up()
    with tempfile.TemporaryDirectory() as folder:
        whole, seconds = uninterrupted(Path(folder) / "whole")
        found = list(kills(arguments.moments, whole, seconds, Path(folder)))
    write("kills", {"seconds": seconds, "kills": [asdict(one) for one in found]}, table(found, seconds))


if __name__ == "__main__":
    main()
