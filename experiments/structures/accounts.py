"""Bookkeeping of a trace: are its groups well formed, and is every module either cut or named?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from physprune_pl.structure import ChannelGroup, Trace


def module_of(parameter: str) -> str:
    """Path of the module that owns a parameter, seen through parametrizations."""
    return (
        parameter.split(".parametrizations.")[0] if ".parametrizations." in parameter else parameter.rpartition(".")[0]
    )


def filter_modules(groups: Sequence[ChannelGroup]) -> set[str]:
    """Modules whose output channels belong to a group."""
    parts = (part for group in groups for part in group.slices if part.role == "filter" and part.index)
    return {module_of(part.name) for part in parts}


def is_named(trace: Trace, module: str) -> bool:
    """Whether the module, or something in it, is listed as not pruned with a reason."""
    return any(
        (left.name == module or left.name.startswith(module + ".")) and bool(left.reason) for left in trace.left_whole
    )


def malformed(trace: Trace) -> list[str]:
    """What is wrong with the groups as data."""
    found, owners = [], Counter[tuple[str, int, int]]()
    for group in trace.groups:
        if group.size < 2:
            found.append(f"{group.name}: a group of {group.size}")
        if {channel for part in group.producing for channel in part.channel} != set(range(group.size)):
            found.append(f"{group.name}: channels without a producing slice")
        for part in group.slices:
            if part.name not in trace.shapes:
                found.append(f"{group.name}: {part.name} is no tensor of the model")
            elif not set(part.index) <= set(range(trace.shapes[part.name][part.dim])):
                found.append(f"{group.name}: {part.name} has no such index in dimension {part.dim}")
            owners.update({(part.name, part.dim, index) for index in part.index})
    return found + [f"{place} has {count} owners" for place, count in owners.items() if count > 1]


def unaccounted(trace: Trace) -> list[str]:
    """Modules with a mixing call whose outputs are neither in a group nor named."""
    producing = {part.name for group in trace.groups for part in group.slices if part.role != "consumer" and part.index}
    whole = {module_of(call.weight) for call in trace.calls if call.weight not in producing}
    return sorted(module for module in whole if not is_named(trace, module))
