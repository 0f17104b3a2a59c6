"""The arms of a sweep: the runs that differ by nothing but their seed, and their figures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from experiments.training.sweeps.arm_picture import ArmPoint
from experiments.training.sweeps.figures import spread
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

    def share(self, cost: str) -> list[float]:
        """Return what each run keeps of a cost, ``"macs"`` or ``"params"``, as a share of the dense network's."""
        costs = [getattr(report, cost) for report in self.reports]
        return [cost["pruned"] / cost["dense"] for cost in costs]

    def scores(self, phase: str) -> list[float]:
        """Return the metric after a phase, of the runs that measured it."""
        found = [report.metric.get(phase) for report in self.reports]
        return [score for score in found if score is not None]

    @property
    def final(self) -> list[float]:
        """Metric of the networks as the runs left them; a run that cut nothing left the dense one."""
        return self.scores("after_finetune") or self.scores("dense")

    def row(self) -> tuple[str, ...]:
        """Return the row of the table, under ``HEAD``."""
        figures = [self.share("macs"), self.share("params")]
        figures += [self.scores("after_sparsify"), self.scores("after_cut"), self.final]
        cells = (spread([100 * share for share in shares], "{:.2f}") for shares in figures)
        return self.name, str(len(self.reports)), *cells

    def to_dict(self) -> dict[str, Any]:
        """Return what summary.json says of the arm: mean and standard deviation of every figure."""
        figures = {"macs_kept": self.share("macs"), "params_kept": self.share("params"), "final": self.final}
        figures |= {phase: self.scores(phase) for phase in ("after_sparsify", "after_cut")}
        seeds = [report.seed for report in self.reports]
        statistics = {name: _statistics(values) for name, values in figures.items()}
        return {"arm": self.name, "seeds": seeds, "metric": self.metric, **statistics}

    def point(self) -> ArmPoint:
        """Return its place in the picture."""
        return ArmPoint(self.name, {"MACs kept": self.share("macs")}, self.final)


def _statistics(values: list[float]) -> dict[str, float | None]:
    return {"mean": mean(values) if values else None, "std": stdev(values) if len(values) > 1 else None}
