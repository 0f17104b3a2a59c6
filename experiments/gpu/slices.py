"""Runs commands side by side for a limited time; what is cut off goes on in the next slice."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Between two looks at the processes, in seconds; and what they have to end by themselves when time is up.
PAUSE, GRACE = 0.2, 10.0


@dataclass(frozen=True)
class Task:
    """A command that leaves a file behind when it is done.

    Attributes:
        command: goes on where it was when it is started again.
        done: the file.
        after: another file, without which it is not started; None for none.
    """

    command: tuple[str, ...]
    done: Path
    after: Path | None = None

    @property
    def ready(self) -> bool:
        """Whether it is to be done and can be."""
        return not self.done.exists() and (self.after is None or self.after.exists())


def run_slice(tasks: Sequence[Task], jobs: int, seconds: float) -> list[Task]:
    """Run as many tasks at a time as allowed until all are done or time is up; return those that are not done.

    A task whose command ends without its file is not started again in this slice.

    Args:
        tasks: the first that can be done come first.
        jobs: commands at a time.
        seconds: after these, what still runs is ended.

    Raises:
        ValueError: when ``jobs`` is below 1.
    """
    if jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    end, tried = time.monotonic() + seconds, set[Task]()
    running: dict[Task, subprocess.Popen[bytes]] = {}
    try:
        while time.monotonic() < end:
            running = {task: process for task, process in running.items() if process.poll() is None}
            waiting = [task for task in tasks if task.ready and task not in tried]
            for task in waiting[: jobs - len(running)]:
                running[task] = subprocess.Popen(task.command)
                tried.add(task)
            if not running:
                break
            time.sleep(PAUSE)
    finally:
        _end(list(running.values()))
    return [task for task in tasks if not task.done.exists()]


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
