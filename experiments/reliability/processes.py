"""Processes that start in no time: forks of a server that has imported everything, but has not computed anything."""

from __future__ import annotations

import multiprocessing

# The server knows the modules that lie where Python was started, and no others.
WORLD = multiprocessing.get_context("forkserver")
WORLD.set_forkserver_preload(["train", "sklearn.datasets", "matplotlib.pyplot"])


def warmed_up() -> None:
    """Wait until the server has imported everything, so that it does not count as time of the first process."""
    process = WORLD.Process(target=int)
    process.start()
    process.join()
