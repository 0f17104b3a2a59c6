"""The arms of a sweep: the runs that differ by nothing but their seed, and their figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev
from typing import Any

from experiments.training.sweeps.arm_picture import ArmPoint
from experiments.training.sweeps.figures import ArmFigures, percent
from physprune_pl.reports.report import PruningReport

# Costs are shares of the dense network's, metrics of the reports as they are; all in per cent.
HEAD = ("arm", "seeds", "MACs", "parameters", "before the cut", "right after", "at the end")


@dataclass(frozen=True)
class FinishedArm:
    """Runs with the same settings and several seeds.

    Attributes:
        name: the overrides that set it apart from the other arms of the sweep.
        reports: of its runs, at least one.
    """

    name: str
    reports: tuple[PruningReport, ...]

    @property
    def metric(self) -> str:
        """Name and split of the metric."""
        found = self.reports[0].metric
        return f"{found['name']} ({found.get('split', 'val')})"

    @cached_property
    def figures(self) -> ArmFigures:
        """Figures of its runs."""
        return ArmFigures.of(self.reports)

    def row(self) -> tuple[str, ...]:
        """Return the row of the table, under ``HEAD``."""
        found = self.figures
        shares = [found.kept("macs"), found.kept("params")]
        shares += [found.scores("after_sparsify"), found.scores("after_cut"), found.final]
        return self.name, str(len(self.reports)), *map(percent, shares)

    def to_dict(self) -> dict[str, Any]:
        """Return what summary.json says of the arm: mean and standard deviation of every figure."""
        found = self.figures
        figures = {"macs_kept": found.kept("macs"), "params_kept": found.kept("params"), "final": found.final}
        figures |= {phase: found.scores(phase) for phase in ("after_sparsify", "after_cut")}
        seeds = [report.seed for report in self.reports]
        statistics = {name: _statistics(values) for name, values in figures.items()}
        return {"arm": self.name, "seeds": seeds, "metric": self.metric, **statistics}

    def point(self) -> ArmPoint:
        """Return its place in the picture."""
        return ArmPoint(self.name, {"MACs kept": self.figures.kept("macs")}, self.figures.final)


def _statistics(values: list[float]) -> dict[str, float | None]:
    return {"mean": mean(values) if values else None, "std": stdev(values) if len(values) > 1 else None}
