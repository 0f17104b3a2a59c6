"""How the force grows over the sparsify phase: progress in [0, 1] -> factor in [0, 1]. A plain function works too."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from physprune_pl.tools.registry import named


@dataclass(frozen=True)
class Schedule(ABC):
    """Factor of the coefficient as a function of progress; subclass it with one method, :meth:`ramp`.

    Attributes:
        start: share of the phase before the force begins, 0 <= start < 1; the factor is 0 until then.

    Raises:
        ValueError: when ``start`` is out of range.
    """

    start: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"start: expected a share of the phase, 0 <= start < 1, got {self.start!r}")

    @abstractmethod
    def ramp(self, share: float) -> float:
        """Factor after a share in [0, 1] of the time that the force acts."""

    def __call__(self, progress: float) -> float:
        """Return the factor at ``progress``, the share in [0, 1] of the phase that is over.

        Raises:
            ValueError: when ``progress`` is not in [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress: expected a share of the phase from 0 to 1, got {progress!r}")
        if progress < self.start:
            return 0.0
        return self.ramp((progress - self.start) / (1 - self.start))


class Constant(Schedule):
    """Full force from the start, f(x) = 1.

    >>> Constant(start=0.5)(0.25), Constant(start=0.5)(0.75)
    (0.0, 1.0)
    """

    def ramp(self, share: float) -> float:  # noqa: ARG002 (a constant looks at nothing)
        """Return 1."""
        return 1.0


class Linear(Schedule):
    """Even growth, f(x) = x.

    >>> Linear()(0.25)
    0.25
    """

    def ramp(self, share: float) -> float:
        """Return x."""
        return share


class Cosine(Schedule):
    """Gentle at both ends, f(x) = (1 - cos(pi x)) / 2.

    >>> round(Cosine()(0.25), 4)
    0.1464
    """

    def ramp(self, share: float) -> float:
        """Return (1 - cos(pi x)) / 2."""
        return (1 - math.cos(math.pi * share)) / 2


class Cubic(Schedule):
    """Fast at first, then slow, f(x) = 1 - (1 - x)^3: the shape of the sparsity schedule of arXiv:1710.01878.

    >>> Cubic()(0.5)
    0.875
    """

    def ramp(self, share: float) -> float:
        """Return 1 - (1 - x)^3."""
        return 1 - (1 - share) ** 3


SCHEDULES: dict[str, type[Schedule]] = {"constant": Constant, "linear": Linear, "cosine": Cosine, "cubic": Cubic}


def resolve_schedule(value: str | Schedule | Callable[[float], float] | None) -> Callable[[float], float]:
    """Return the schedule of that name, the object or function itself, or :class:`Constant` for None.

    Raises:
        ValueError: for a name that is not in ``SCHEDULES``.
        TypeError: for anything else that cannot be called with a progress, a class instead of an object included.

    >>> resolve_schedule("cubic")
    Cubic(start=0.0)
    """
    if value is None:
        return Constant()
    if isinstance(value, str):
        return named("schedule", value, SCHEDULES)
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"schedule: expected a name, a Schedule object or a function of progress, got {value!r}")
    return value
