"""Whether torch.compile would help: one large weight, the penalty's operations and compiled ones in turn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from experiments.speed.timing import Job, interleaved, medians
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2
from physprune_pl.structure import ChannelGroup, Role, Slice

ROWS, COLUMNS = 512, 4608
SECONDS = 4.0


def measured() -> dict[str, float]:
    """Return median milliseconds of the sums for the strengths and of a gradient into memory that is there."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(ROWS, COLUMNS))
    weight.grad = torch.zeros_like(weight)
    elsewhere = torch.randn(32 * weight.numel())
    jobs = {**ours(weight), **fused(weight)}
    for job in jobs.values():
        job()
    # Between two runs the weight leaves the cache, as it does in training.
    return medians(interleaved(jobs, SECONDS, before=lambda: elsewhere.add_(1.0)))


def ours(weight: nn.Parameter) -> Mapping[str, Job]:
    """Return the penalty's own way."""
    groups = [_group(0, ROWS, "filter"), _group(1, COLUMNS, "consumer")]
    penalty = Penalty(groups, {"weight": weight}, L2())
    strengths, pressure = penalty.strengths(), torch.full((ROWS + COLUMNS,), 1e-6)
    return {"sums": penalty.strengths, "gradient": lambda: penalty.add_gradient(pressure, strengths=strengths)}


def fused(weight: nn.Parameter) -> Mapping[str, Job]:
    """Return the same as compiled functions."""
    rates = torch.rand(ROWS, 1) * 1e-6, torch.rand(1, COLUMNS) * 1e-6
    data, gradient = weight.detach(), torch.zeros_like(weight)
    sums, add = torch.compile(_sums), torch.compile(_add)
    return {"sums, compiled": lambda: sums(data), "gradient, compiled": lambda: add(gradient, data, *rates)}


def _group(dim: int, size: int, role: Role) -> ChannelGroup:
    index = tuple(range(size))
    part = Slice("weight", dim=dim, index=index, channel=index, role=role)
    return ChannelGroup(role, size, (part,))


def _sums(weight: Tensor) -> tuple[Tensor, Tensor]:
    squares = weight * weight
    return squares.sum(1), squares.sum(0)


def _add(gradient: Tensor, weight: Tensor, rows: Tensor, columns: Tensor) -> None:
    gradient.add_(weight * (rows + columns))
