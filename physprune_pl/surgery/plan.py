"""Pruning plans: which channels of which group go, as plain data that travels in checkpoints and JSON files.

Shape legend: G groups, K channels of one group.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from physprune_pl.networks.identity import checked_fingerprint, fingerprint
from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, LeftWhole, Trace
from physprune_pl.surgery.checked_data import (
    check_keys,
    integers,
    latency_of_plan,
    pair_of,
    shown,
    sizes_of_plan,
    typed,
    without_repeats,
)
from physprune_pl.surgery.remembered import Sizes, planned_sizes

FORMAT = 1

# No tensor of torch has more than 64 dimensions.
_DIMENSIONS = frozenset(map(str, range(64)))


@dataclass(frozen=True)
class TensorCut:
    """How one parameter or buffer shrinks.

    Attributes:
        shape: its shape before the cut.
        keep: for each dimension that shrinks, the indices that stay, ascending.
    """

    shape: tuple[int, ...]
    keep: dict[int, tuple[int, ...]]

    def __post_init__(self) -> None:
        for dim, kept in self.keep.items():
            _check_kept(dim, kept, self.shape)

    @property
    def shape_after(self) -> tuple[int, ...]:
        """Shape of the tensor after the cut."""
        return tuple(len(self.keep[dim]) if dim in self.keep else size for dim, size in enumerate(self.shape))


def _check_kept(dim: int, kept: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if not 0 <= dim < len(shape):
        raise ValueError(f"keep: expected a dimension from 0 to {len(shape) - 1} for shape {shape}, got {dim}")
    if not kept:
        raise ValueError(f"keep: at least one index of dimension {dim} of shape {shape} must stay, got none")
    if any(later <= earlier for earlier, later in itertools.pairwise(kept)):
        raise ValueError(f"keep: expected ascending indices without repeats in dimension {dim}, got {shown(kept)}")
    if kept[0] < 0 or kept[-1] >= shape[dim]:
        raise ValueError(f"keep: expected indices from 0 to {shape[dim] - 1} in dimension {dim}, got {shown(kept)}")


@dataclass(frozen=True)
class GroupCut:
    """What a plan takes from one group.

    Attributes:
        name: name of the group.
        before: number of channels before the cut.
        after: number of channels that stay, at least 1.
        exact: whether a channel of strength zero leaves without changing the output.
        removed: channels that go, ascending.
    """

    name: str
    before: int
    after: int
    exact: bool
    removed: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.after < 1 or self.before - self.after != len(set(self.removed)):
            raise ValueError(
                f"group {self.name!r}: expected before - after = {len(set(self.removed))} removed channels and at "
                f"least one left, got before={self.before}, after={self.after}"
            )
        if list(self.removed) != sorted(set(self.removed)):
            raise ValueError(f"group {self.name!r}: expected ascending removed channels, got {shown(self.removed)}")
        if self.removed and not 0 <= self.removed[0] <= self.removed[-1] < self.before:
            raise ValueError(
                f"group {self.name!r}: expected channels from 0 to {self.before - 1}, got {shown(self.removed)}"
            )


@dataclass(frozen=True)
class PruningPlan:
    """Which channels go, and what that does to every tensor.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, fit for JSON and for ``torch.load(weights_only=True)``."""
        return {
            "format": FORMAT,
            "tensors": {name: _tensor_to_dict(cut) for name, cut in self.tensors.items()},
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
            tensors={typed(name, str, "tensors"): _tensor_from_dict(cut, name) for name, cut in tensors.items()},
            groups=tuple(_group_from_dict(group) for group in typed(data["groups"], list, "groups")),
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
    gone: dict[tuple[str, int], set[int]] = {}
    for group, cut in zip(trace.groups, cuts, strict=True):
        _collect(group, frozenset(cut.removed), gone)
    tensors: dict[str, TensorCut] = {}
    for name in dict.fromkeys(name for name, _ in sorted(gone)):
        shape = tuple(trace.shapes[name])
        tensors[plain(name)] = TensorCut(
            shape, {dim: _kept(shape[dim], gone[part, dim]) for part, dim in gone if part == name}
        )
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


def _collect(group: ChannelGroup, channels: frozenset[int], gone: dict[tuple[str, int], set[int]]) -> None:
    for part in group.slices:
        indices = {index for index, channel in zip(part.index, part.channel, strict=True) if channel in channels}
        if indices:
            gone.setdefault((part.name, part.dim), set()).update(indices)


def _kept(size: int, gone: set[int]) -> tuple[int, ...]:
    return tuple(index for index in range(size) if index not in gone)


def _tensor_to_dict(cut: TensorCut) -> dict[str, Any]:
    return {"shape": list(cut.shape), "keep": {str(dim): list(kept) for dim, kept in cut.keep.items()}}


def _tensor_from_dict(data: Any, name: str) -> TensorCut:
    check_keys(data, ("shape", "keep"), f"tensor {name!r}")
    keep = typed(data["keep"], dict, f"tensor {name!r}: keep")
    # Only one way to write a number: "0" beside "00" would hide one of the two.
    if not all(isinstance(dim, str) and dim in _DIMENSIONS for dim in keep):
        raise ValueError(f"tensor {name!r}: expected dimensions as the keys of keep, got {shown(list(map(str, keep)))}")
    kept = {int(dim): integers(indices, f"tensor {name!r}: keep") for dim, indices in keep.items()}
    return TensorCut(integers(data["shape"], f"tensor {name!r}: shape"), kept)


def _group_from_dict(data: Any) -> GroupCut:
    check_keys(data, ("name", "before", "after", "exact", "removed"), "group")
    return GroupCut(
        name=typed(data["name"], str, "group: name"),
        before=typed(data["before"], int, "group: before"),
        after=typed(data["after"], int, "group: after"),
        exact=typed(data["exact"], bool, "group: exact"),
        removed=integers(data["removed"], "group: removed"),
    )


def _left_from_dict(data: Any) -> LeftWhole:
    check_keys(data, ("name", "reason"), "left_whole")
    return LeftWhole(typed(data["name"], str, "left_whole: name"), typed(data["reason"], str, "left_whole: reason"))
