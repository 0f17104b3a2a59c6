"""Figures of several runs: mean, spread, and the hardware that they were found on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

import torch

from physprune_pl.latency.hardware import processor


def hardware() -> dict[str, Any]:
    """Return what the times depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def spread(values: Sequence[float], form: str) -> str:
    """Write mean ± standard deviation, a single value as it is, a dash for none.

    >>> spread([1.0, 2.0, 3.0], "{:.1f}"), spread([2.0], "{:.1f}"), spread([], "{:.1f}")
    ('2.0 ± 1.0', '2.0', '-')
    """
    if not values:
        return "-"
    middle = form.format(mean(values))
    return f"{middle} ± {form.format(stdev(values))}" if len(values) > 1 else middle
