"""Figures of several runs: mean, spread, and the hardware that they were found on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import torch

from physprune_pl.latency.hardware import processor
from physprune_pl.reports.figures import RunFigures
from physprune_pl.reports.report import PruningReport


def hardware() -> dict[str, Any]:
    """Return what the times depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def spread(values: Sequence[float], form: str) -> str:
    """Write mean ± standard deviation, a single value as it is, a dash for none.

    >>> spread([1.0, 2.0, 3.0], "{:.1f}"), spread([2.0], "{:.1f}"), spread([], "{:.1f}")
    ('2.0 ± 1.0', '2.0', '-')
    """
    if not values:
        return "-"
    middle = form.format(mean(values))
    return f"{middle} ± {form.format(stdev(values))}" if len(values) > 1 else middle


@dataclass(frozen=True)
class ArmFigures:
    """The figures of runs that differ by nothing but their seed.

    Attributes:
        runs: at least one.
    """

    runs: tuple[RunFigures, ...]

    @classmethod
    def of(cls, found: Sequence[PruningReport | Mapping[str, Any]]) -> ArmFigures:
        """Return the figures of reports, or of stored ones."""
        return cls(tuple(map(RunFigures.of, found)))

    def kept(self, cost: str) -> list[float]:
        """Return what each run keeps of a cost, as a share of the dense network's."""
        return [run.kept(cost) for run in self.runs]

    def less(self, cost: str) -> list[float]:
        """Return how many times less each pruned network costs."""
        return [run.less(cost) for run in self.runs]

    def scores(self, phase: str) -> list[float]:
        """Return the metric after a phase, of the runs that measured it."""
        return [score for run in self.runs if (score := run.score(phase)) is not None]

    @property
    def final(self) -> list[float]:
        """Metric of the networks as the runs left them."""
        return [run.final for run in self.runs if run.final is not None]

    @property
    def lost(self) -> list[float]:
        """By how much each fine-tuned network is under its dense one, of the runs that measured both."""
        pairs = [(run.score("dense"), run.score("after_finetune")) for run in self.runs]
        return [dense - final for dense, final in pairs if dense is not None and final is not None]

    @property
    def minutes(self) -> list[float]:
        """Wall time of each run."""
        return [run.minutes for run in self.runs]


def percent(shares: Sequence[float]) -> str:
    """Write shares in per cent, see :func:`spread`.

    >>> percent([0.5])
    '50.00'
    """
    return spread([100 * share for share in shares], "{:.2f}")
