"""What the tracker tells the loggers of one epoch: four numbers per group, and the same four overall."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from physprune_pl.reports.concentration import concentration, effective_channels, near_zero


def summary(strengths: Mapping[str, Tensor], each_group: bool = True) -> dict[str, Tensor]:
    """Return the scalars of an epoch.

    Args:
        strengths: group -> strengths of its channels, [K].
        each_group: whether there are scalars of every group, and not only overall.

    Returns:
        For every group ``physprune/<name>/<group>``, and ``physprune/<name>`` overall, where the name is

        - ``strength``: the mean; overall over all channels;
        - ``near_zero``: share of the channels with at most 1 % of the largest strength of their group; overall of all
          channels;
        - ``effective_channels``: see :func:`~physprune_pl.reports.concentration.effective_channels`; overall the sum
          over the groups, to be compared with the number of channels;
        - ``concentration``: see :func:`~physprune_pl.reports.concentration.concentration`; overall the mean over the
          groups, each weighted by its number of channels.
    """
    groups = {name: _of_group(values) for name, values in strengths.items()}
    sizes = torch.tensor([len(values) for values in strengths.values()])
    weights = sizes / sizes.sum()
    columns = {key: torch.stack([values[key] for values in groups.values()]) for key in next(iter(groups.values()))}
    # A mean over all channels is the mean of the groups' means, weighted by their sizes.
    overall = {key: (weights * column).sum() for key, column in columns.items()}
    overall["effective_channels"] = columns["effective_channels"].sum()
    named = {f"{key}/{name}": value for name, values in groups.items() for key, value in values.items()}
    return {f"physprune/{key}": value for key, value in (overall | named if each_group else overall).items()}


def _of_group(strengths: Tensor) -> dict[str, Tensor]:
    return {
        "strength": strengths.mean(),
        "near_zero": near_zero(strengths).float().mean(),
        "effective_channels": effective_channels(strengths),
        "concentration": concentration(strengths),
    }
