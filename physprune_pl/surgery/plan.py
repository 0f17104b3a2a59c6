"""Pruning plans: which channels of which group go, as plain data that travels in checkpoints and JSON files.

Shape legend: G groups, K channels of one group.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from physprune_pl.networks.identity import checked_fingerprint, fingerprint
from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, LeftWhole, Trace
from physprune_pl.surgery.checked_data import (
    check_keys,
    latency_of_plan,
    pair_of,
    shown,
    sizes_of_plan,
    typed,
    without_repeats,
)
from physprune_pl.surgery.cuts import (
    GroupCut,
    TensorCut,
    group_from_dict,
    tensor_from_dict,
    tensor_to_dict,
)
from physprune_pl.surgery.plan_text import plan_line, plan_table
from physprune_pl.surgery.remembered import Sizes, planned_sizes

FORMAT = 1


@dataclass(frozen=True, repr=False)
class PruningPlan:
    """Which channels go, and what that does to every tensor; ``print(plan)`` shows it as a table.

    Attributes:
        tensors: path of a parameter or buffer -> how it shrinks; only those that shrink.
        groups: what is taken from each group, untouched groups included.
        left_whole: modules that are never cut, and why.
        macs: MACs of one sample, dense and pruned.
        params: number of parameters, dense and pruned.
        fingerprint: names and shapes of all parameters before the cut as a short hash; empty for a part of that
            network, which is not compared.
        sizes: path of an attribute of a module -> its number before and after, of what modules remember under names
            of their own.
        latency: for a latency target, the figures of `LATENCY`: shares of the dense network's, and the times of a call.
    """

    tensors: dict[str, TensorCut]
    groups: tuple[GroupCut, ...]
    left_whole: tuple[LeftWhole, ...]
    macs: tuple[int, int]
    params: tuple[int, int]
    fingerprint: str = ""
    latency: dict[str, float] = field(default_factory=dict)
    sizes: Sizes = field(default_factory=dict)

    def then(self, other: PruningPlan) -> PruningPlan:
        """Return the one plan that does what this one does, and then another one for what it leaves.

        Its indices are those of the network before both, and so is its fingerprint; what is never cut is what the
        other one says. Shares of latency are of one network alone: they stay where one of the two removes nothing.
        ``one.then(two).then(three)`` is ``one.then(two.then(three))``.

        Args:
            other: a plan for the network that this one was applied to.

        Raises:
            ValueError: it is for another network.

        >>> from torch import nn, zeros
        >>> from physprune_pl import apply_plan, plan_pruning
        >>> model, images = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), zeros(1, 4)
        >>> one = plan_pruning(model, images, {"macs": 0.5})
        >>> two = plan_pruning(apply_plan(model, one), images, {"macs": 0.5})
        >>> one.then(two).macs, [(cut.before, cut.after) for cut in one.then(two).groups]
        ((48, 12), [(8, 2)])
        """
        for name in ("macs", "params"):
            (_, left), (found, _) = getattr(self, name), getattr(other, name)
            if left != found:
                raise ValueError(f"other: expected a plan for a network of {left} {name}, got one for {found}")
        before = {cut.name: cut for cut in self.groups}
        after = {cut.name: cut for cut in other.groups}
        return PruningPlan(
            tensors=_in_turn(self.tensors, other.tensors, TensorCut.then),
            groups=tuple(_in_turn(before, after, GroupCut.then).values()),
            left_whole=other.left_whole,
            macs=(self.macs[0], other.macs[1]),
            params=(self.params[0], other.params[1]),
            fingerprint=self.fingerprint,
            latency={} if self.tensors and other.tensors else (other if other.tensors else self).latency,
            sizes=_in_turn(self.sizes, other.sizes, lambda one, two: (one[0], two[1])),
        )

    def __repr__(self) -> str:
        """The plan in one line; its figures are in the attributes."""
        return f"PruningPlan({plan_line(self.macs, self.params, self._widths(), len(self.left_whole))})"

    def table(self) -> str:
        """Costs and widths of all groups, before and after, as text."""
        return plan_table(self.macs, self.params, self._widths())

    __str__ = table

    def _widths(self) -> list[tuple[str, int, int]]:
        return [(group.name, group.before, group.after) for group in self.groups]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, fit for JSON and for ``torch.load(weights_only=True)``."""
        return {
            "format": FORMAT,
            "tensors": {name: tensor_to_dict(cut) for name, cut in self.tensors.items()},
            "groups": [{**vars(group), "removed": list(group.removed)} for group in self.groups],
            "left_whole": [dict(vars(part)) for part in self.left_whole],
            "macs": list(self.macs),
            "params": list(self.params),
            "fingerprint": self.fingerprint,
            **({"latency": dict(self.latency)} if self.latency else {}),
            **({"sizes": {name: list(pair) for name, pair in self.sizes.items()}} if self.sizes else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PruningPlan:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: a key is missing or unknown, a value has the wrong type, or the format is not known.
        """
        keys = ("format", "tensors", "groups", "left_whole", "macs", "params", "fingerprint")
        check_keys(data, keys, "plan", {"latency", "sizes"})
        if typed(data["format"], int, "plan: format") != FORMAT:
            raise ValueError(f"plan: expected format {FORMAT}, got {shown(data['format'])}")
        tensors = typed(data["tensors"], dict, "tensors")
        plan = cls(
            tensors={typed(name, str, "tensors"): tensor_from_dict(cut, name) for name, cut in tensors.items()},
            groups=tuple(group_from_dict(group) for group in typed(data["groups"], list, "groups")),
            left_whole=tuple(_left_from_dict(part) for part in typed(data["left_whole"], list, "left_whole")),
            macs=pair_of(data["macs"], "macs"),
            params=pair_of(data["params"], "params"),
            fingerprint=checked_fingerprint(typed(data["fingerprint"], str, "fingerprint")),
            latency=latency_of_plan(data.get("latency", {})),
            sizes=sizes_of_plan(data.get("sizes", {})),
        )
        _check_sizes(plan)
        return plan

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> PruningPlan:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON, or no plan.
        """
        try:
            data = json.loads(text, object_pairs_hook=without_repeats)
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets without end
            raise ValueError(f"text: expected the JSON of a plan, got {text[:40]!r} ({error})") from error
        return cls.from_dict(data)


T = TypeVar("T")


def _in_turn(one: Mapping[str, T], two: Mapping[str, T], join: Callable[[T, T], T]) -> dict[str, T]:
    """Return what both say by name, joined where both say something."""
    return {**one, **two, **{name: join(part, two[name]) for name, part in one.items() if name in two}}


def _check_sizes(plan: PruningPlan) -> None:
    """Refuse groups larger than any tensor: whoever lists their channels would run out of memory."""
    largest = max((size for cut in plan.tensors.values() for size in cut.shape_after), default=0)
    for group in plan.groups:
        if group.removed and group.after > largest:
            raise ValueError(f"group {group.name!r}: expected at most {largest} channels left, got {group.after}")


def make_plan(trace: Trace, removed: Sequence[Tensor], macs: tuple[int, int], params: tuple[int, int]) -> PruningPlan:
    """Turn the channels to remove into the indices that each tensor keeps.

    Args:
        trace: the trace of the network; its ``groups``, ``shapes`` and ``left_whole`` are read.
        removed: per group a bool tensor [K], true where the channel goes.
        macs: MACs of one sample, dense and pruned.
        params: number of parameters, dense and pruned.

    Raises:
        ValueError: `removed` does not fit the groups, or takes every channel of a group; or a module remembers one
            number for several sizes that become different.
    """
    if len(removed) != len(trace.groups):
        raise ValueError(f"removed: expected one tensor for each of {len(trace.groups)} groups, got {len(removed)}")
    cuts = tuple(_cut_group(group, chosen) for group, chosen in zip(trace.groups, removed, strict=True))
    gone: dict[str, dict[int, Tensor]] = {}
    for group, chosen in zip(trace.groups, removed, strict=True):
        _collect(group, chosen.bool().cpu(), trace.shapes, gone)
    tensors = {
        plain(name): TensorCut(tuple(trace.shapes[name]), {dim: _kept(mask) for dim, mask in gone[name].items()})
        for name in sorted(gone)
    }
    parameters = {name: shape for name, shape in trace.shapes.items() if name not in trace.buffers}
    removed_channels = {(cut.name, channel) for cut in cuts for channel in cut.removed}
    sizes = planned_sizes(trace.sizes, removed_channels)
    return PruningPlan(
        tensors, cuts, tuple(trace.left_whole), macs, params, fingerprint(parameters), sizes=sizes if tensors else {}
    )


def _cut_group(group: ChannelGroup, chosen: Tensor) -> GroupCut:
    if chosen.shape != (group.size,):
        raise ValueError(f"removed: group {group.name!r} has {group.size} channels, got shape {tuple(chosen.shape)}")
    gone = tuple(int(channel) for channel in chosen.bool().nonzero().flatten().tolist())
    if len(gone) == group.size:
        raise ValueError(f"removed: every channel of group {group.name!r} would go; at least one must stay")
    return GroupCut(group.name, group.size, group.size - len(gone), group.exact, gone)


def _collect(
    group: ChannelGroup, channels: Tensor, shapes: Mapping[str, tuple[int, ...]], gone: dict[str, dict[int, Tensor]]
) -> None:
    """Mark the indices of removed channels, by name and dimension of a tensor."""
    for part in group.slices:
        positions = part.positions(channels)
        if len(positions):
            fresh = torch.zeros(shapes[part.name][part.dim], dtype=torch.bool)
            gone.setdefault(part.name, {}).setdefault(part.dim, fresh)[positions] = True


def _kept(gone: Tensor) -> tuple[int, ...]:
    return tuple((~gone).nonzero().flatten().tolist())


def _left_from_dict(data: Any) -> LeftWhole:
    check_keys(data, ("name", "reason"), "left_whole")
    return LeftWhole(typed(data["name"], str, "left_whole: name"), typed(data["reason"], str, "left_whole: reason"))
