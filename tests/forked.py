"""Jobs of several processes that know of each other, as those of a fit under DDP do."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.reliability.processes import WORLD

# Gloo looks for an address of the machine, which a sandbox may not have; the processes of a test share a machine.
LOCAL = "lo0" if os.uname().sysname == "Darwin" else "lo"


def _member(rank: int, processes: int, folder: Path, job: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    # What Lightning reads when something else has started the processes.
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", GLOO_SOCKET_IFNAME=LOCAL)
    try:
        meeting = f"file://{folder / 'meeting'}"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
        torch.save(job(folder, *arguments), folder / f"{rank}.pt")
    except BaseException:
        (folder / f"{rank}.error").write_text(traceback.format_exc())
        # The others may be waiting for this one.
        os._exit(1)
    # Gloo's threads end with the process, whoever is still there.
    os._exit(0)


def together(job: Callable[..., Any], folder: Path, *arguments: Any, processes: int = 2, seconds: float = 120) -> Any:
    """Run a job on several processes that know of each other; return what it returned on each of them.

    Raises:
        RuntimeError: it failed on one, with its traceback, or took too long.
    """
    import torch

    started = [
        WORLD.Process(target=_member, args=(rank, processes, folder, job, arguments)) for rank in range(processes)
    ]
    for process in started:
        process.start()
    _join(started, seconds)
    errors = "\n".join(path.read_text() for path in sorted(folder.glob("*.error")))
    if errors or any(process.exitcode != 0 for process in started):
        raise RuntimeError(f"exit codes {[process.exitcode for process in started]}\n{errors}")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


def _join(processes: list[Any], seconds: float) -> None:
    """Wait for all of them; end the others as soon as one has failed."""
    waiting = {process.sentinel: process for process in processes}
    while waiting:
        done = multiprocessing.connection.wait(list(waiting), timeout=seconds)
        failed = [one for one in (waiting.pop(key) for key in done) if one.join() or one.exitcode != 0]
        if failed or not done:
            for process in waiting.values():
                process.kill()
                process.join()
            return
