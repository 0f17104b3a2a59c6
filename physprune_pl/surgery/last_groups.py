"""Grouped layers that a cut leaves with one group: nothing in their shapes tells that they had more."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from physprune_pl.networks.names import plain
from physprune_pl.surgery.remembered import Sizes

_CONVOLUTION = ("groups", "out_channels", "in_channels")
_KINDS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.modules.conv._ConvNd: _CONVOLUTION,
    nn.GroupNorm: ("num_groups", "num_channels"),
}

Grouped = Mapping[str, Mapping[str, int]]


def grouped_layers(model: nn.Module) -> Grouped:
    """Return what the layers with more than one group remember, by their paths; the number of groups comes first.

    >>> grouped_layers(nn.Sequential(nn.GroupNorm(2, 8), nn.GroupNorm(1, 8)))
    {'0': {'num_groups': 2, 'num_channels': 8}}
    """
    found = {}
    for name, module in model.named_modules():
        names = next((names for kind, names in _KINDS.items() if isinstance(module, kind)), ())
        sizes = {attribute: int(getattr(module, attribute)) for attribute in names}
        if sizes and sizes[names[0]] > 1:
            found[plain(name)] = sizes
    return found


def left_with_one(before: Grouped, model: nn.Module) -> Sizes:
    """Return the sizes of those that have one group now, as a plan carries them: before and after.

    >>> model = nn.Sequential(nn.GroupNorm(2, 8))
    >>> before = grouped_layers(model)
    >>> model[0].num_groups, model[0].num_channels = 1, 4
    >>> left_with_one(before, model)
    {'0.num_groups': (2, 1), '0.num_channels': (8, 4)}
    """
    modules = {plain(name): module for name, module in model.named_modules()}
    found: Sizes = {}
    for name, sizes in before.items():
        now = {attribute: int(getattr(modules[name], attribute)) for attribute in sizes}
        if next(iter(now.values())) == 1:
            found |= {
                f"{name}.{attribute}" if name else attribute: (sizes[attribute], now[attribute]) for attribute in now
            }
    return found
