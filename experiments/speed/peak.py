"""Largest memory of a process that trains a few steps: ``python -m experiments.speed.peak <network> [<law>]``."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence

import torch

from experiments.speed.pressed import NETWORKS, Force, Training, without

STEPS = 3
LAW = "exponential"


def measured(network: str) -> dict[str, float]:
    """Return the largest resident memory in MB, without a force and with one, each in a process of its own."""
    return {"without": _in_a_process(network), "with": _in_a_process(network, LAW)}


def _in_a_process(*arguments: str) -> float:
    command = [sys.executable, "-m", "experiments.speed.peak", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(arguments: Sequence[str]) -> None:
    """Train, and print the largest resident memory in MB."""
    torch.set_num_threads(1)
    training = Training(NETWORKS[arguments[0]])
    press = Force(training, arguments[1]) if len(arguments) > 1 else without
    for _ in range(STEPS):
        training.step(press)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(sys.argv[1:])
