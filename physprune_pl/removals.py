"""When channels leave a network that is trained: all of them at once, or wave after wave."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from physprune_pl.tools.choices import unknown
from physprune_pl.tools.registry import named_or_given

Curve = Literal["geometric", "linear"]

MOST_WAVES = 8
"""Each removal makes torch.compile and the layers' own tuning begin anew."""
FEWEST_EPOCHS = 3
"""A phase of fewer epochs has no room for waves: what is removed early would have to go within an epoch or two."""


class Goal(NamedTuple):
    """The end of a wave.

    Attributes:
        end: epochs of the phase that are over then.
        share: of the dense network's cost that is left then.
    """

    end: int
    share: float


class Removal(ABC):
    """Says when channels leave the network within the sparsify phase; subclass it with one method, :meth:`goals`."""

    @abstractmethod
    def goals(self, epochs: int, share: float) -> tuple[Goal, ...]:
        """Return the waves within the phase, in order; none where all is removed at its end.

        Args:
            epochs: of the sparsify phase.
            share: of the dense network's cost that the target keeps; the last wave ends with it.
        """


@dataclass(frozen=True)
class Once(Removal):
    """Everything is removed at the end of the sparsify phase.

    >>> Once().goals(epochs=40, share=0.4)
    ()
    """

    def goals(self, epochs: int, share: float) -> tuple[Goal, ...]:  # noqa: ARG002 (whatever they are)
        """Return no waves."""
        return ()


@dataclass(frozen=True)
class Gradual(Removal):
    r"""Channels are removed in waves, each after its own epochs under the force; what is left trains without it.

    After wave i of n the share that is left of the dense network's cost is

    .. math:: share_i = target^{i / n} \quad (geometric), \qquad share_i = 1 - (1 - target) \cdot i / n \quad (linear)

    and the waves share the first part of the phase, ``until``, as evenly as whole epochs allow. A phase of fewer than
    three epochs has none. There are no more waves than epochs for them.

    Args:
        waves: number of removals, from 1 to 8.
        until: share of the phase after which the last wave ends, in (0, 1).
        curve: ``"geometric"``, the same factor each time, or ``"linear"``, the same amount.

    Raises:
        ValueError: for an argument outside its range.
        TypeError: for one of another kind.

    Source: ours, after the observation that what is cut rests at zero long before the phase ends.

    >>> [(goal.end, round(goal.share, 2)) for goal in Gradual(waves=4, until=0.4).goals(epochs=40, share=0.4)]
    [(4, 0.8), (8, 0.63), (12, 0.5), (16, 0.4)]
    >>> Gradual().goals(epochs=2, share=0.4)
    ()
    """

    waves: int = 4
    until: float = 0.4
    curve: Curve = "geometric"

    def __post_init__(self) -> None:
        if isinstance(self.waves, bool) or not isinstance(self.waves, int):
            raise TypeError(f"waves: expected a whole number, got {self.waves!r}")
        if not 1 <= self.waves <= MOST_WAVES:
            raise ValueError(f"waves: expected a number from 1 to {MOST_WAVES}, got {self.waves!r}")
        if isinstance(self.until, bool) or not isinstance(self.until, int | float):
            raise TypeError(f"until: expected a number, got {self.until!r}")
        if not 0 < self.until < 1:
            raise ValueError(f"until: expected a share of the phase, 0 < until < 1, got {self.until!r}")
        if self.curve not in get_args(Curve):
            raise ValueError(unknown("curve", self.curve, get_args(Curve)))

    def goals(self, epochs: int, share: float) -> tuple[Goal, ...]:
        """Return the waves, which end with epochs of their own."""
        if epochs < FEWEST_EPOCHS:
            return ()
        last = max(1, int(self.until * epochs))
        count = min(self.waves, last)
        return tuple(Goal(last * i // count, self._left(share, i / count)) for i in range(1, count + 1))

    def _left(self, share: float, done: float) -> float:
        return share**done if self.curve == "geometric" else 1.0 - (1.0 - share) * done


REMOVALS: dict[str, type[Removal]] = {"once": Once, "gradual": Gradual}


def resolve_removal(value: str | Removal) -> Removal:
    """Return the removal of that name, or the object itself.

    Raises:
        ValueError: for a name that is not in ``REMOVALS``.
        TypeError: for anything else.

    >>> resolve_removal("gradual")
    Gradual(waves=4, until=0.4, curve='geometric')
    """
    return named_or_given("removal", value, Removal, REMOVALS)  # type: ignore[type-abstract]
