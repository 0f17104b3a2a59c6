"""The random generators of torch, numpy and Python as plain tensors, which a checkpoint can carry."""

from __future__ import annotations

import math
import os
import random

import numpy as np
import torch
from torch import Tensor


def global_seed() -> int | None:
    """Return the seed that Lightning's ``seed_everything`` was given last, None where it never was."""
    seed = os.environ.get("PL_GLOBAL_SEED", "")
    return int(seed) if seed.isdigit() else None


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of all generators of this process as tensors, fit for ``torch.load(weights_only=True)``.

    Args:
        device: where the process computes; of a CUDA device the generator is included.

    Returns:
        ``torch`` and ``cuda`` (uint8), ``python`` and ``numpy`` (int64), ``python_normal`` and ``numpy_normal``
        (float64: the second of a pair of normal numbers that is still to be handed out, or NaN). Numpy is left out
        where its generator is not the Mersenne Twister that it comes with.
    """
    version, words, normal = random.getstate()
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_normal": torch.tensor([math.nan if normal is None else normal], dtype=torch.float64),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    twister = np.random.get_state(legacy=False)
    if twister["bit_generator"] == "MT19937":
        words, place = twister["state"]["key"].tolist(), twister["state"]["pos"]
        states["numpy"] = torch.tensor([*words, place], dtype=torch.int64)
        states["numpy_normal"] = torch.tensor(
            [twister["gauss"] if twister["has_gauss"] else math.nan], dtype=torch.float64
        )
    return states


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators where :func:`random_state` found them; those that are not in ``states`` stay as they are."""
    # Copies: torch reads a state from the start of its storage, wherever the tensor itself begins in it.
    states = {name: state.cpu().clone() for name, state in states.items()}
    torch.set_rng_state(states["torch"])
    version, *words = states["python"].tolist()
    random.setstate((version, tuple(words), _pending(states["python_normal"])))
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    if "numpy" in states:
        *words, place = states["numpy"].tolist()
        normal = _pending(states["numpy_normal"])
        np.random.set_state(
            ("MT19937", np.array(words, dtype=np.uint32), place, int(normal is not None), normal or 0.0)
        )


def _pending(normal: Tensor) -> float | None:
    value = float(normal)
    return None if math.isnan(value) else value
