"""Training steps with and without a force, in turn."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from experiments.speed.pressed import Force, Training, without
from experiments.speed.timing import Job, copying, interleaved, medians
from physprune_pl.forces import FORCES

SECONDS = 20.0
Step = Callable[[], object]


def measured(training: Training) -> dict[str, Any]:
    """Return median milliseconds: of a step without force, and of every force and what it adds to the whole step."""
    forces: dict[str, Callable[[], None]] = {name: Force(training, name) for name in FORCES}
    forces["exponential, steered"] = Force(training, "exponential", steered=True)
    own: dict[str, list[float]] = {name: [] for name in forces}

    def step(name: str) -> Step:
        return lambda: own[name].append(training.step(forces[name])[0])

    jobs: dict[str, Step] = {"without": lambda: training.step(without), **{name: step(name) for name in forces}}
    steps = interleaved(jobs, SECONDS)
    passes = medians(interleaved({"copy": copying(training.touched), "adding": adding(training)}, 1.0))
    plain = steps["without"]
    found: dict[str, Any] = {"without": median(plain), "rounds": len(plain), **passes}
    for name in forces:
        more = [after - before for after, before in zip(steps[name], plain, strict=True)]
        found[name] = {"force": median(own[name][1:]), "added": median(more), "step": median(steps[name])}
    return found


def adding(training: Training) -> Job:
    """Return what autograd does at most because a gradient is there already: adding to it, all of it out of the cache.

    Without a force it takes over the new gradient instead, which it has to find memory for.
    """
    there, new = ([torch.zeros_like(one) for one in training.parameters] for _ in range(2))

    def add() -> None:
        for target, source in zip(there, new, strict=True):
            target.add_(source)

    return add
