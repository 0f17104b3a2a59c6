"""Times of alternatives in interleaved rounds, so that whatever else the machine does falls on all of them.

Processor time is measured: one thread does all of the work and never waits, so that on a machine with nothing else to
do it is the time on the clock, and on a busy one it leaves out the turns of others.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch

Job = Callable[[], object]


def nothing() -> None:
    """Prepare nothing."""


def interleaved(
    jobs: Mapping[str, Job], seconds: float, fewest: int = 3, before: Job = nothing
) -> dict[str, list[float]]:
    """Run all jobs again and again, in another order each round, and return the milliseconds of every run.

    Args:
        jobs: by name; each runs once before anything is timed.
        seconds: when to stop; whole rounds only.
        fewest: rounds that are run in any case.
        before: runs before every job and is not timed.
    """
    shuffle = random.Random(0).shuffle
    found: dict[str, list[float]] = {name: [] for name in jobs}
    end = time.perf_counter() + seconds
    for number in itertools.count():
        if number > fewest and time.perf_counter() > end:
            return {name: values[1:] for name, values in found.items()}
        names = list(jobs)
        shuffle(names)
        for name in names:
            before()
            found[name].append(milliseconds(jobs[name]))
    raise AssertionError("the count never ends")


def milliseconds(job: Job) -> float:
    """Return how long a job takes."""
    start = time.process_time()
    job()
    return 1000.0 * (time.process_time() - start)


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of every job."""
    return {name: median(values) for name, values in times.items()}


def copying(elements: int) -> Job:
    """Return a job that reads and writes so many float32 numbers: two passes over as many parameters."""
    source, target = torch.randn(elements), torch.empty(elements)
    return lambda: target.copy_(source)
