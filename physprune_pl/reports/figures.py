"""The figures of one run as tables, pictures and pages tell them, each worked out here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.reports.report import PruningReport


@dataclass(frozen=True)
class RunFigures:
    """What a run cost and reached.

    Attributes:
        costs: name of a cost -> ``{"dense": n, "pruned": n}``: ``"macs"``, ``"params"``, and the latency of every batch
            size, such as ``"batch_32"``.
        metric: of the report.
        seconds: wall time of each phase.

    >>> run = RunFigures({"macs": {"dense": 100, "pruned": 40}}, {"dense": 0.9, "after_cut": 0.8}, {"sparsify": 90.0})
    >>> run.kept("macs"), run.less("macs"), run.score("dense"), run.final, run.minutes
    (0.4, 2.5, 0.9, 0.8, 1.5)
    """

    costs: Mapping[str, Mapping[str, float]]
    metric: Mapping[str, Any]
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, found: PruningReport | Mapping[str, Any]) -> RunFigures:
        """Return the figures of a report, or of what was stored of one; a cost that was not has no figures."""
        fields = vars(found) if isinstance(found, PruningReport) else found
        costs = {name: fields[name] for name in ("macs", "params") if name in fields}
        return cls(costs | fields.get("latency_ms", {}), fields.get("metric", {}), fields.get("seconds", {}))

    def kept(self, cost: str) -> float:
        """Return what the pruned network keeps of a cost, as a share of the dense network's."""
        return self.costs[cost]["pruned"] / self.costs[cost]["dense"]

    def less(self, cost: str) -> float:
        """Return how many times less the pruned network costs."""
        return self.costs[cost]["dense"] / self.costs[cost]["pruned"]

    def score(self, phase: str) -> float | None:
        """Return the metric after a phase, None where it was not measured."""
        value = self.metric.get(phase)
        return None if value is None else float(value)

    @property
    def final(self) -> float | None:
        """The metric after the last phase that was measured; None where none was."""
        known = [self.score(phase) for phase in PHASES]
        return next((value for value in reversed(known) if value is not None), None)

    @property
    def minutes(self) -> float:
        """Wall time of all phases."""
        return sum(self.seconds.values()) / 60
