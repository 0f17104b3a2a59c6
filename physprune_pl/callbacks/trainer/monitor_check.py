"""Looks whether anything logs the metric that a user wants to be watched, as early as that can be known."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from physprune_pl.tools.choices import near, unknown

SURE = 0.85
"""Likeness of two names, of 1, from which on one is taken for a misspelling of the other."""


class MonitorCheck:
    """Compares the name of a metric with those that the sanity validation, steps and epochs have logged.

    Args:
        monitor: the name; None asks for nothing.
    """

    def __init__(self, monitor: str | None) -> None:
        self._monitor = monitor
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier fit has logged."""
        self._known: set[str] = set()
        self._noted = self._validated = self._stepped = False

    def note(self, trainer: Any) -> None:
        """Note what a validation has logged, the one before training included."""
        self._known |= _logged(trainer)
        self._noted, self._validated = True, self._validated or trainer.validating

    def first_step(self, trainer: Any) -> None:
        """Look after the first step. What validates only now and then, or at the end of an epoch, may still log it.

        Raises:
            ValueError: a metric has a name that is nearly the same.
        """
        if self._stepped:
            return
        self._stepped = True
        self._known |= _logged(trainer)
        if self._missing(trainer) and (self._noted or not trainer.enable_validation):
            if near(str(self._monitor), self._known, SURE):
                raise ValueError(self._message())
            rank_zero_warn(f"{self._message()}; the fit ends after its first epoch unless that logs it")

    def epoch(self, trainer: Any) -> None:
        """Look at the start of an epoch, once there was one that was validated as it will always be.

        Raises:
            ValueError: nothing has logged the metric.
        """
        self._known |= set(trainer.callback_metrics)
        if self._missing(trainer) and (self._validated or (self._stepped and not trainer.enable_validation)):
            raise ValueError(self._message())

    def _missing(self, trainer: Any) -> bool:
        return self._monitor is not None and self._monitor not in self._known | set(trainer.callback_metrics)

    def _message(self) -> str:
        ours_last = sorted(self._known, key=lambda name: (name.startswith("physprune/"), name))
        return unknown("monitor", self._monitor, ours_last, "one of the logged metrics")


def _logged(trainer: Any) -> set[str]:
    """Names under which the loop that runs has logged anything, at its steps or for their mean."""
    names = set(trainer.callback_metrics)
    for result in (trainer._results or {}).values():
        names |= {result.meta.name, result.meta.forked_name(on_step=True), result.meta.forked_name(on_step=False)}
    return names
