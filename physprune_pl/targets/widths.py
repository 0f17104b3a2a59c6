"""How many channels of each group may stay, as the user wants it and as the tensors need it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, LeftWhole
from physprune_pl.tools.choices import unknown
from physprune_pl.tools.patterns import compiled

Ints = NDArray[np.intp]
Shares = Mapping[str, float]
SameWidth = Literal["auto"] | Sequence[str]

# Products such as 0.7 * 10 land a little beside the whole number that is meant.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Preferred:
    """A multiple that gives way: it is halved for every group that has no number of channels to be cut to with it.

    >>> Preferred(8).multiples
    [8, 4, 2, 1]
    """

    multiple: int

    @property
    def multiples(self) -> list[int]:
        """The multiples to try, one after the other."""
        return [self.multiple >> half for half in range(self.multiple.bit_length())]


RoundTo = int | Literal["auto"] | Preferred | None


@dataclass(frozen=True)
class Widths:
    """Numbers of channels that a group may keep.

    A pattern is a name or a regular expression; it stands for the groups of that name, for those with a module of
    that name among the producers of their channels, and for those with such a producer inside a module of that name.
    A group that several patterns stand for obeys all of them.

    Attributes:
        round_to: channels kept in a group that is cut are a multiple of this; ``"auto"`` is to become the multiple
            that a device likes, see :meth:`resolved`.
        min_share: pattern -> share of the channels that its groups keep at least, in (0, 1].
        max_share: pattern -> share of the channels that its groups keep at most, in (0, 1]; they are cut to it
            in any case.
        same_width: patterns of modules whose groups keep one width in all layers of a kind; ``"auto"`` is all, by the
            config of a transformers model where there is one.

    Raises:
        ValueError: a number is outside its range.
        TypeError: a share is no number, shares are no mapping, or a pattern is no string.

    Example:
        >>> group = ChannelGroup("layer4.0.conv1", 10, ())
        >>> Widths(min_share={"layer4": 0.5}, max_share={".*conv1": 0.8}).removable([group], [1], ())[0].tolist()
        [2, 3, 4, 5]
    """

    round_to: RoundTo = None
    min_share: Shares = field(default_factory=dict)
    max_share: Shares = field(default_factory=dict)
    same_width: SameWidth = ()

    def __post_init__(self) -> None:
        _check_same_width(self.same_width)
        step = self.round_to.multiple if isinstance(self.round_to, Preferred) else self.round_to
        if step not in (None, "auto") and (isinstance(step, bool) or not isinstance(step, int) or step < 1):
            raise ValueError(f"round_to: expected a whole number of at least 1, got {step!r}")
        for name, shares in (("min_share", self.min_share), ("max_share", self.max_share)):
            _check_shares(name, shares)

    def resolved(self, multiple: Callable[[], int]) -> Widths:
        """Return the same with ``round_to="auto"`` as the multiple that a device likes, which is asked for then only.

        >>> Widths(round_to="auto").resolved(lambda: 8).round_to
        Preferred(multiple=8)
        """
        return replace(self, round_to=Preferred(multiple())) if self.round_to == "auto" else self

    def removable(
        self, groups: Sequence[ChannelGroup], needed: Sequence[int], whole: Sequence[LeftWhole]
    ) -> list[Ints]:
        """Numbers of channels that may be removed from each group, ascending.

        Args:
            groups: the groups of a trace.
            needed: channels of each that must stay for its tensors' sake, at least 1.
            whole: what the trace leaves whole; a pattern may stand for such a module in ``min_share``.

        Raises:
            ValueError: a pattern stands for nothing, no number of channels obeys all of the limits, or ``round_to`` is
                still ``"auto"``.
        """
        self._check_patterns(groups, whole)
        return [self._removable_from(group, need) for group, need in zip(groups, needed, strict=True)]

    def _removable_from(self, group: ChannelGroup, needed: int) -> Ints:
        shortest, widest = self._range(group, needed)
        tries = self._multiples_to_try()
        choices = [[n for n in _multiples(group.size, step) if shortest <= n <= widest] for step in tries]
        # The first multiple that the group can be cut to at all; of a single one, what it leaves.
        kept = next((numbers for numbers in choices if numbers and numbers[-1] < group.size), choices[-1])
        if kept:
            return group.size - np.array(kept, dtype=np.intp)
        multiples = f" and is a multiple of round_to={self.round_to}" if self.round_to else ""
        raise ValueError(
            f"group {group.name!r} of {group.size} channels: no number of channels to keep is at least {shortest}, "
            f"at most {widest}{multiples} (min_share={dict(self.min_share)}, "
            f"max_share={dict(self.max_share)}, needed by its tensors: {needed})"
        )

    def _multiples_to_try(self) -> list[int]:
        if self.round_to == "auto":
            raise ValueError('round_to: expected a number by now, got "auto": nobody has asked a device')
        return self.round_to.multiples if isinstance(self.round_to, Preferred) else [self.round_to or 1]

    def _range(self, group: ChannelGroup, needed: int) -> tuple[int, int]:
        """Fewest and most channels that the limits let the group keep."""
        lows = [math.ceil(share * group.size - _ROUNDING) for share in _shares_of(group, self.min_share)]
        highs = [math.floor(share * group.size + _ROUNDING) for share in _shares_of(group, self.max_share)]
        return min(max(needed, *lows, 1), group.size), min([group.size, *highs])

    def check_same_width(self, groups: Sequence[ChannelGroup]) -> None:
        """Refuse patterns of ``same_width`` that stand for no group."""
        for pattern in () if self.same_width == "auto" else self.same_width:
            if not any(stands_for(pattern, group) for group in groups):
                raise ValueError(unknown("same_width", pattern, [group.name for group in groups]))

    def _check_patterns(self, groups: Sequence[ChannelGroup], whole: Sequence[LeftWhole]) -> None:
        for name, shares in (("min_share", self.min_share), ("max_share", self.max_share)):
            for pattern in shares:
                if any(stands_for(pattern, group) for group in groups):
                    continue
                left = next((part for part in whole if _matches(pattern, part.name)), None)
                if left is None:
                    what = "names or regular expressions of groups or of modules that produce their channels, such as"
                    raise ValueError(unknown(name, pattern, [group.name for group in groups], what))
                if name == "max_share":
                    raise ValueError(f"max_share: {pattern!r} cannot be cut, {left.name} is not pruned: {left.reason}")


def _check_shares(name: str, shares: Shares) -> None:
    if not isinstance(shares, Mapping):
        raise TypeError(f"{name}: expected a mapping such as {{'layer4.*': 0.5}}, got {shares!r}")
    for pattern, share in shares.items():
        compiled(name, pattern)
        if isinstance(share, bool) or not isinstance(share, (int, float)):
            raise TypeError(f"{name} of {pattern!r}: expected a number, got {share!r}")
        if not 0 < share <= 1:
            raise ValueError(f"{name} of {pattern!r}: expected a share in (0, 1], got {share!r}")


def _check_same_width(patterns: SameWidth) -> None:
    if isinstance(patterns, str) and patterns != "auto":
        raise ValueError(f'same_width: expected "auto" or a list of names of modules, got {patterns!r}')
    if not isinstance(patterns, str | Sequence) or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f'same_width: expected "auto" or a list of names of modules, got {patterns!r}')


def _multiples(size: int, step: int) -> list[int]:
    """The whole size, then every smaller multiple of a step, largest first."""
    return [size, *range((size - 1) // step * step, 0, -step)]


def _shares_of(group: ChannelGroup, shares: Shares) -> list[float]:
    return [share for pattern, share in shares.items() if stands_for(pattern, group)]


def stands_for(pattern: str, group: ChannelGroup) -> bool:
    """Return whether a pattern is the name of a group, or of a module that makes its channels or is around it."""
    names = [group.name, *(part.name.rpartition(".")[0] for part in group.producing)]
    return any(_matches(pattern, name) for name in dict.fromkeys(names))


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern is the name of a module, or of one that it is in."""
    pattern = plain(pattern)
    return any(pattern == path or re.fullmatch(pattern, path) is not None for path in _paths(plain(name)))


def _paths(name: str) -> Iterator[str]:
    """The name without a number of its group, and the names of the modules around it.

    >>> list(_paths("layer1.0.conv#2"))
    ['layer1.0.conv', 'layer1.0', 'layer1']
    """
    path = plain(name.partition("#")[0])
    while path:
        yield path
        path = path.rpartition(".")[0]
