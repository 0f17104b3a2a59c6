"""Steering over two groups written down by hand, and the strengths that it starts from."""

import torch
from hand_traces import chain
from torch import Tensor

from physprune_pl.pressing.importance import RunningMean
from physprune_pl.pressing.steering import Steering
from physprune_pl.selections import Selection
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import parse_target

SIZES = (24, 30)
SEGMENTS = [slice(0, 24), slice(24, 54)]


def steering(
    share: float = 0.5, select: str | Selection = "strength", importance: RunningMean | None = None
) -> Steering:
    return Steering(Chooser(chain((6, *SIZES, 4)), parse_target({"params": share})), SEGMENTS, select, importance)


def start() -> Tensor:
    return 1.0 + torch.rand(sum(SIZES), generator=torch.Generator().manual_seed(3))
