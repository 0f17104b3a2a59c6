"""What a plan takes from one tensor and from one group, as plain data, and what two cuts in turn come to.

Shape legend: K channels of one group.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from physprune_pl.surgery.checked_data import check_keys, integers, shown, typed

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

    def then(self, other: TensorCut) -> TensorCut:
        """Return the one cut that does what this one and then another do.

        Raises:
            ValueError: the other one is not for what this one leaves.

        >>> TensorCut((4,), {0: (0, 1, 3)}).then(TensorCut((3,), {0: (0, 2)}))
        TensorCut(shape=(4,), keep={0: (0, 3)})
        """
        if other.shape != self.shape_after:
            raise ValueError(f"other: expected a cut of shape {self.shape_after}, got one of shape {other.shape}")
        later = {
            dim: tuple(self.keep[dim][index] for index in other.keep[dim]) for dim in self.keep if dim in other.keep
        }
        return TensorCut(self.shape, dict(sorted({**self.keep, **other.keep, **later}.items())))


def _check_kept(dim: int, kept: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if not 0 <= dim < len(shape):
        raise ValueError(f"keep: expected a dimension from 0 to {len(shape) - 1} for shape {shape}, got {dim}")
    if not kept:
        raise ValueError(f"keep: at least one index of dimension {dim} of shape {shape} must stay, got none")
    if not all(map(operator.lt, kept, kept[1:])):
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

    @property
    def kept(self) -> tuple[int, ...]:
        """Channels that stay, ascending."""
        gone = set(self.removed)
        return tuple(channel for channel in range(self.before) if channel not in gone)

    def then(self, other: GroupCut) -> GroupCut:
        """Return what this cut and then another take from the group, in its channels before both.

        Raises:
            ValueError: the other one is not for what this one leaves.

        >>> GroupCut("conv", 4, 3, True, (1,)).then(GroupCut("conv", 3, 2, True, (1,))).removed
        (1, 2)
        """
        if (other.name, other.before) != (self.name, self.after):
            expected, got = (
                f"{size} channels of {name!r}" for name, size in ((self.name, self.after), (other.name, other.before))
            )
            raise ValueError(f"other: expected a cut of {expected}, got one of {got}")
        kept = self.kept
        removed = sorted([*self.removed, *(kept[channel] for channel in other.removed)])
        return GroupCut(self.name, self.before, other.after, self.exact and other.exact, tuple(removed))


def tensor_to_dict(cut: TensorCut) -> dict[str, Any]:
    """Return plain data, as a plan writes it."""
    return {"shape": list(cut.shape), "keep": {str(dim): list(kept) for dim, kept in cut.keep.items()}}


def tensor_from_dict(data: Any, name: str) -> TensorCut:
    """Read it; a ValueError names the tensor of which it is not what it should be."""
    check_keys(data, ("shape", "keep"), f"tensor {name!r}")
    keep = typed(data["keep"], dict, f"tensor {name!r}: keep")
    # Only one way to write a number: "0" beside "00" would hide one of the two.
    if not all(isinstance(dim, str) and dim in _DIMENSIONS for dim in keep):
        raise ValueError(f"tensor {name!r}: expected dimensions as the keys of keep, got {shown(list(map(str, keep)))}")
    kept = {int(dim): integers(indices, f"tensor {name!r}: keep") for dim, indices in keep.items()}
    return TensorCut(integers(data["shape"], f"tensor {name!r}: shape"), kept)


def group_from_dict(data: Any) -> GroupCut:
    """Read what a plan writes of a group, or raise a ValueError."""
    check_keys(data, ("name", "before", "after", "exact", "removed"), "group")
    return GroupCut(
        name=typed(data["name"], str, "group: name"),
        before=typed(data["before"], int, "group: before"),
        after=typed(data["after"], int, "group: after"),
        exact=typed(data["exact"], bool, "group: exact"),
        removed=integers(data["removed"], "group: removed"),
    )
