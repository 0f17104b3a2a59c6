"""What a user asks to keep: MACs, parameters, latency, or everything above a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from physprune_pl.tools.choices import unknown

TargetKind = Literal["macs", "params", "latency", "threshold"]


TOLERANCE = 0.02


class TargetError(ValueError):
    """A target that no set of channels meets.

    Attributes:
        closest: the closest share that was found to be reachable.
    """

    def __init__(self, message: str, closest: float) -> None:
        super().__init__(message)
        self.closest = closest


@dataclass(frozen=True)
class Target:
    """What a cut must keep.

    Attributes:
        kind: ``"macs"``, ``"params"`` or ``"latency"``: the share of the dense model's figure that stays.
            ``"threshold"``: in every group what is weaker than this share of its strongest channel goes.
        share: in (0, 1].
    """

    kind: TargetKind
    share: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(TargetKind):
            raise ValueError(unknown("target", self.kind, get_args(TargetKind)))
        if isinstance(self.share, bool) or not isinstance(self.share, (int, float)):
            raise TypeError(f"target {self.kind}: expected a number, got {self.share!r}")
        if not 0 < self.share <= 1:
            guess = f"; did you mean {self.share / 100:g}?" if 10 <= self.share <= 100 else ""
            raise ValueError(f"target {self.kind}: expected a share in (0, 1], got {self.share!r}{guess}")


def parse_target(target: Mapping[str, float | None] | Target) -> Target:
    """Read a target such as ``{"macs": 0.4}``.

    Args:
        target: exactly one kind with its share, or a ``Target``; kinds whose share is None are not asked for.

    Raises:
        TypeError: if it is no mapping or the share is no number.
        ValueError: if there is not exactly one kind, the kind is unknown or the share is outside (0, 1].

    Example:
        >>> parse_target({"macs": 0.4})
        Target(kind='macs', share=0.4)
    """
    if isinstance(target, Target):
        return target
    if not isinstance(target, Mapping):
        raise TypeError(f"target: expected a mapping such as {{'macs': 0.4}}, got {target!r}")
    asked = [(kind, share) for kind, share in target.items() if share is not None]
    if len(asked) != 1:
        raise ValueError(f"target: expected exactly one of {list(get_args(TargetKind))}, got {dict(target)!r}")
    ((kind, share),) = asked
    return Target(cast(TargetKind, kind), share)
