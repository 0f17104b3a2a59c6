"""What a target in latency asks for and gets: ``python -m experiments.goals.latency_targets [--networks ...]``."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.goals.stored_figures import Row, keep, write_page
from experiments.speed.pressed import NETWORKS
from physprune_pl.latency import Stopwatch
from physprune_pl.planning import plan_pruning
from physprune_pl.targets.target import TargetError

CHOICE = ("resnet20", "resnet56", "vgg19", "resnet50")
SHARES = (0.7, 0.5, 0.35)
BATCHES = (1, 32)


def measured(name: str, stopwatch: Stopwatch, shares: Sequence[float] = SHARES) -> Row:
    """Return what came of every share that was asked for, and the seconds that planning took, the first with timing.

    Args:
        name: of a network of ``experiments.speed``.
        stopwatch: what times it; its batch is that of the row.
        shares: of the dense network's time.
    """
    torch.manual_seed(0)
    pixels = NETWORKS[name].pixels
    model, picture = NETWORKS[name].build().eval(), torch.randn(1, 3, pixels, pixels)
    asked = {str(share): _planned(model, picture, share, stopwatch) for share in shares}
    return {"network": name, "way": "latency asked", "batch": stopwatch.batch_size, "asked": asked}


def _planned(model: nn.Module, picture: Tensor, share: float, stopwatch: Stopwatch) -> Row:
    start = time.perf_counter()
    try:
        plan = plan_pruning(model, picture, {"latency": share}, stopwatch=stopwatch)
    except TargetError as error:
        return {"failure": str(error), "seconds": time.perf_counter() - start}
    found = {key: plan.latency[key] for key in ("predicted", "measured")}
    return {**found, "macs": plan.macs[1] / plan.macs[0], "seconds": time.perf_counter() - start}


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=CHOICE, choices=list(NETWORKS))
    torch.set_num_threads(1)
    for name in parser.parse_args().networks:
        for batch in BATCHES:
            with tempfile.TemporaryDirectory() as folder:
                keep("asked", measured(name, Stopwatch(batch, Path(folder) / "times.json")))
    write_page()


if __name__ == "__main__":
    main()
