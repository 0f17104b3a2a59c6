"""Largest memory of a process that trains a few steps: ``python -m experiments.speed.peak <network> [<law>]``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.speed.pressed import NETWORKS, Force, Training, without

STEPS = 3
LAW = "exponential"


def measured(network: str) -> dict[str, float]:
    """Return the largest resident memory in MB, without a force and with one, each in a process of its own.

    Linux only. It is read from the high-water mark of the process, which is set back after tracing: ``ru_maxrss``
    would begin with that of the process that started this one.
    """
    return {"without": _in_a_process(network), "with": _in_a_process(network, LAW)}


def _in_a_process(*arguments: str) -> float:
    command = [sys.executable, "-m", "experiments.speed.peak", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(arguments: Sequence[str]) -> None:
    """Train, and print the largest resident memory in MB."""
    torch.set_num_threads(1)
    training = Training(NETWORKS[arguments[0]])
    press = Force(training, arguments[1]) if len(arguments) > 1 else without
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(STEPS):
        training.step(press)
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main(sys.argv[1:])
