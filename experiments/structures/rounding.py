"""How far rounding alone moves what a network puts out: two exact networks can differ by so much."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from experiments.structures.handwritten import with_torch_norms
from experiments.structures.oracle import KeptNorms, Removed, converted, distance, masked, redraw, run
from physprune_pl.networks.isolation import copied
from physprune_pl.structure import Trace


def moved_by_rounding(
    model: nn.Module, trace: Trace, example: Any, removed: Removed, gain: float = 1.0
) -> dict[str, float]:
    """Relative change of the masked network in double precision, by mode, once every weight is rounded once more.

    The weights are those of ``errors``; each becomes one of the two numbers beside it.
    """
    model, example = with_torch_norms(copied(model)).to(torch.float64), converted(example, torch.float64)
    redraw(model, 0, gain)
    found = {}
    for mode in ("eval", "train"):
        outputs = []
        for step in (0.0, torch.finfo(torch.float64).eps):
            dense = masked(model, trace.groups, removed, producing_only=False)
            _nudge(dense, step)
            with KeptNorms(dense, trace.groups, removed):
                outputs.append(run(dense, example, mode))
        found[mode] = distance(*outputs)
    return found


def _nudge(model: nn.Module, step: float) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            up = torch.randint(2, parameter.shape, generator=generator).to(parameter)
            parameter.mul_(1.0 + step * (2.0 * up - 1.0))
