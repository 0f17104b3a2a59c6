"""The most memory that a stretch of a program had in use."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


class PeakMemory:
    """Peak memory between :meth:`start` and :meth:`read`, in bytes.

    On CUDA that is the most that PyTorch had allocated on the device, counted anew from every start, which resets
    ``torch.cuda.max_memory_allocated``. Elsewhere it is the most that the whole process has had resident since *its*
    start, as the operating system counts: a later stretch is never lower than an earlier one.

    Args:
        device: where the program computes.

    Attributes:
        kind: ``"cuda"`` or ``"process"``.

    >>> memory = PeakMemory(torch.device("cpu"))
    >>> memory.start()
    >>> memory.kind
    'process'
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.kind = "cuda" if device.type == "cuda" else "process"

    def start(self) -> None:
        """Begin a stretch."""
        if self.kind == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def read(self) -> int | None:
        """Return the peak so far; None where the operating system keeps none."""
        return torch.cuda.max_memory_allocated(self.device) if self.kind == "cuda" else process_peak()


def process_peak() -> int | None:
    """Return the most bytes that this process has had resident; None where the operating system does not tell."""
    return _from_status() or _from_usage()


def _from_status() -> int | None:
    """Return Linux's own count, which unlike that of ``getrusage`` does not begin with the program's parent."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return 1024 * peaks[0] if peaks else None


def _from_usage() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    # macOS counts bytes, all others KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
