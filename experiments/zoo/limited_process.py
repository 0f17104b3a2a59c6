"""Work in a process of its own, with limits, so that a network that explodes takes nothing else with it."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

Row = dict[str, Any]
Work = Callable[[], Iterator[Row]]

GIB = 2**30


@dataclass(frozen=True)
class ProcessLimits:
    """What a process may use.

    Attributes:
        seconds: of processor time, which other programs on the machine do not shorten.
        memory: bytes that it may ask the system for.
    """

    seconds: int = 120
    memory: int = 12 * GIB


def run_apart(work: Work, limits: ProcessLimits, preload: Sequence[str] = ()) -> Row:
    """Return everything that the work yields, as one row.

    What goes wrong is the row's ``"failure"``, beside what had been yielded before.

    Args:
        work: picklable; it runs on one thread.
        limits: the process ends when it exceeds them.
        preload: modules that all processes to come share, which saves importing them each time.

    Raises:
        RuntimeError: the process could not do the work at all, which says nothing about the network.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, limits, sender))
    process.start()
    sender.close()
    row: Row = {}
    for part in _received(receiver):
        row |= part
    process.join()
    if process.exitcode:
        row["failure"] = _ending(process.exitcode, limits)
    return row


def _received(receiver: Connection) -> Iterator[Row]:
    while True:
        try:
            yield receiver.recv()
        except EOFError:
            return


def _work(work: Work, limits: ProcessLimits, sender: Connection) -> None:
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 10))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, most))
    try:
        for part in work():
            sender.send(part)
    except Exception as error:  # a network may fail in any way; each is a finding
        # The error still holds what filled the memory, and saying so takes some more.
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        sender.send({"failure": f"{type(error).__name__}: {error}"})


def _ending(code: int, limits: ProcessLimits) -> str:
    if code > 0:
        raise RuntimeError(f"the process ended with code {code}; its own messages say why")
    if code == -signal.SIGXCPU:
        return f"stopped after {limits.seconds} s of processor time"
    return f"killed by {signal.Signals(-code).name}"
