"""The same random numbers for two networks that are compared."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def same_draws(seed: int) -> Iterator[None]:
    """Let torch, numpy and Python draw what belongs to a seed, and put their generators back on leaving."""
    python, twister = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(twister)
