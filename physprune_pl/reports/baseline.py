"""What the dense network reaches when it is trained on its own: a number, or what the report of a run says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from physprune_pl.reports.report import PruningReport

Baseline = float | str | Path
"""The metric of a dense network, or the path of a ``report.json`` that has it."""


@dataclass(frozen=True)
class DenseMetric:
    """The metric of a dense network that a report of a pruned one is to show beside its own.

    Attributes:
        value: of the metric.
        name: of the metric and of its data, such as ``"val_acc (val)"``; None for a bare number, of any metric.

    >>> DenseMetric.of(0.93)
    DenseMetric(value=0.93, name=None)
    """

    value: float
    name: str | None = None

    @classmethod
    def of(cls, baseline: Baseline) -> DenseMetric:
        """Read what a user gives.

        Raises:
            TypeError: it is neither a number nor a path.
            ValueError: the number is not finite, or the file is no report or knows no dense metric.
            FileNotFoundError: there is no such file.
        """
        if isinstance(baseline, str | Path):
            return cls._of_report(Path(baseline))
        if isinstance(baseline, bool) or not isinstance(baseline, int | float):
            raise TypeError(f"baseline: expected {_EXPECTED}, got {baseline!r}")
        if not math.isfinite(baseline):
            raise ValueError(f"baseline: expected a finite number, got {baseline!r}")
        return cls(float(baseline))

    @classmethod
    def _of_report(cls, path: Path) -> DenseMetric:
        path = path / "report.json" if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"baseline: expected {_EXPECTED}, no file {str(path)!r}")
        try:
            report = PruningReport.from_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"baseline: expected the report.json of a run, got {str(path)!r}: {error}") from error
        value = report.metric.get("dense")
        if value is None:
            raise ValueError(
                f"baseline: expected a report whose metric has 'dense', got {str(path)!r} with {dict(report.metric)}; "
                f"give the metric as a number instead"
            )
        return cls(float(value), report.metric_name())

    def check(self, name: str) -> None:
        """See that this is the metric of a name that validation logs.

        Raises:
            ValueError: it is another one, or was measured on other data.
        """
        self.check_measured(f"{name} (val)")

    def check_measured(self, name: str) -> None:
        """See that this is the metric of a name that says its data too, such as ``"val_acc (val)"``.

        Raises:
            ValueError: it is another one.
        """
        if self.name not in (None, name):
            raise ValueError(
                f"baseline: expected the report of a run with the metric {name!r} of this fit, got one with "
                f"{self.name!r}; give the metric of the dense network as a number instead"
            )


def with_baseline(report: PruningReport, baseline: Baseline) -> PruningReport:
    """Return a report with the dense metric added, or in place of the one that it had.

    Raises:
        TypeError, ValueError, FileNotFoundError: see :meth:`DenseMetric.of`; or the metric is another one.
    """
    dense = DenseMetric.of(baseline)
    dense.check_measured(report.metric_name())
    return replace(report, metric={**report.metric, "dense": dense.value})


_EXPECTED = "the metric of the dense network, or the path of the report.json of its run"
