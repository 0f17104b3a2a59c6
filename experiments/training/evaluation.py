"""What the networks of one run reach, all in a single pass over the data."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from itertools import islice
from typing import Literal

import torch
from torch import nn

from experiments.training.data import LabelledData
from experiments.training.tasks import Score


@torch.no_grad()
def evaluate(
    networks: Mapping[str, nn.Module],
    data: LabelledData,
    device: torch.device,
    split: Literal["val", "test"],
    limit: int | float = 1.0,
    scores: Score | None = None,
) -> dict[str, float]:
    """Return the metric of every network in eval mode; each batch is read once and seen by all of them.

    Args:
        networks: name -> network that maps a batch to the outputs that the task of the data scores.
        data: set up or not.
        device: where to compute.
        split: which samples are read.
        limit: how many batches of it, or as a float which share of them, as the limits of Lightning's Trainer say.
        scores: outputs and answers -> figure of every sample; None: those of the task of the data.

    Returns:
        Name -> mean score of the samples by the task of the data, such as the share of right answers.

    Raises:
        ValueError: when that leaves no batch.
    """
    data.setup()
    score = scores or data.task.scores
    total, count = dict.fromkeys(networks, 0.0), 0
    for network in networks.values():
        network.to(device).eval()
    loader = data.loader(split)
    for batch in islice(loader, batches_within(limit, loader)):
        inputs, answers = data.prepare(batch)
        count += len(answers)
        for name, network in networks.items():
            total[name] += float(score(network(inputs.to(device)).cpu(), answers).sum())
    if not count:
        raise ValueError(f"limit: expected one that leaves batches of {split} to evaluate with, got {limit}")
    return {name: found / count for name, found in total.items()}


def batches_within(limit: int | float, loader: Sized) -> int | None:
    """Return how many batches a limit of Lightning's Trainer allows, None for all.

    >>> batches_within(2, range(10)), batches_within(0.5, range(10)), batches_within(1.0, range(10))
    (2, 5, None)
    """
    if isinstance(limit, int):
        return limit
    return None if limit == 1.0 else int(limit * len(loader))
