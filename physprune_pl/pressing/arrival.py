"""How far channels have come on their way to zero."""

from __future__ import annotations

from dataclasses import dataclass

ARRIVED = 0.01
"""A group has arrived when its chosen channels have at most this share of their starting strength."""


@dataclass(frozen=True)
class Arrival:
    """How far the chosen channels of one group have come: mean strength now over mean strength at the start."""

    group: str
    chosen: int
    remaining: float

    @property
    def arrived(self) -> bool:
        """Whether cutting them changes next to nothing."""
        return self.remaining <= ARRIVED
