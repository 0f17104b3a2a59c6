"""Largest memory of a step, of tracing and of the cut: ``python -m experiments.goals.peaks [NETWORK STAGE]``.

Each has a process of its own, which does just that stage and prints bytes: before it, and at most.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from experiments.goals.stored_figures import Row, keep, write_page
from experiments.speed.pressed import NETWORKS, Force, Training, without
from physprune_pl.planning import plan_chosen
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tools.memory import process_peak
from physprune_pl.tracing.tracer import trace

LAW = "exponential"
STEPS = 3
REPEATS = 2
# By default glibc keeps freed blocks of up to some MB for later, as many as chance has it; this way it returns them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536"}
Stage = Callable[[], object]


def step_without(name: str) -> Stage:
    """Train a few steps."""
    training = Training(NETWORKS[name])
    return lambda: [training.step(without) for _ in range(STEPS)]


def step_with(name: str) -> Stage:
    """Train a few steps under a force."""
    training = Training(NETWORKS[name])
    press = Force(training, LAW)
    return lambda: [training.step(press) for _ in range(STEPS)]


def tracing(name: str) -> Stage:
    """Trace, with one picture."""
    model, pixels = NETWORKS[name].build().eval(), NETWORKS[name].pixels
    return lambda: trace(model, torch.randn(1, 3, pixels, pixels))


def cutting(name: str) -> Stage:
    """Cut a network that has been trained a step, with its optimizer's momentum."""
    training = Training(NETWORKS[name])
    training.step(without)
    plan = plan_chosen(training.model, Chooser(training.trace, Target("macs", 0.4), Widths()))
    return lambda: apply_plan(training.model, plan, optimizers=[training.optimizer])


STAGES = {
    "a step without a force": step_without,
    "a step with a force": step_with,
    "tracing": tracing,
    "the cut": cutting,
}


def peaks(stage: Stage) -> tuple[int, int]:
    """Return the bytes that the process has resident before a stage, and at most during it; Linux only."""
    reset = Path("/proc/self/clear_refs")
    reset.write_text("5")
    before = process_peak()
    stage()
    most = process_peak()
    assert before is not None
    assert most is not None
    # The system notes a peak only now and then: where a stage has let go of a few pages it may miss the beginning.
    return before, max(before, most)


def in_a_process(network: str, stage: str) -> tuple[int, int]:
    """Return what :func:`peaks` finds in a fresh process."""
    command = [sys.executable, "-m", "experiments.goals.peaks", network, stage]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
    before, most = map(int, done.stdout.split())
    return before, most


def measured(network: str, stage: str, repeats: int = REPEATS) -> Row:
    """Return the peak of every process, and the median of what it rose by."""
    found = [in_a_process(network, stage) for _ in range(repeats)]
    rises = [most - before for before, most in found]
    figures = {"rise": median(rises), "rises": rises, "peaks": [most for _, most in found]}
    parameters = sum(value.numel() for value in NETWORKS[network].build().parameters())
    return {"network": network, "way": f"memory: {stage}", "parameters_bytes": 4 * parameters, **figures}


def main(arguments: Sequence[str]) -> None:
    """Measure one stage, or all of both networks, and store."""
    torch.set_num_threads(1)
    if arguments:
        network, stage = arguments
        print(*peaks(STAGES[stage](network)))
        return
    for network in ("resnet50", "vgg19"):
        for stage in STAGES:
            keep("peaks", measured(network, stage))
    write_page()


if __name__ == "__main__":
    main(sys.argv[1:])
