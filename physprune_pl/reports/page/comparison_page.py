"""Several runs side by side: a table, and the Pareto fronts of quality over MACs and over latency."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os.path import commonpath, relpath
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from physprune_pl.reports.figures import RunFigures
from physprune_pl.reports.page.finished_run import read_report
from physprune_pl.reports.page.pareto import Mode, NetworkPoint, front, front_picture
from physprune_pl.reports.page.rendering import write_page
from physprune_pl.reports.page.seed_means import HEAD as SEED_HEAD
from physprune_pl.reports.page.seed_means import law_of, seed_rows
from physprune_pl.reports.report import PruningReport
from physprune_pl.reports.wording import milliseconds, score, times

HEAD = (
    "",
    "run",
    "law",
    "MACs kept",
    "params kept",
    "latency",
    "faster",
    "dense",
    "right after the cut",
    "final",
    "minutes",
)


@dataclass(frozen=True)
class Comparison:
    """Finished runs, told apart by letters.

    Attributes:
        reports: name of a run -> its report; at least one.
        mode: ``"max"`` where a higher metric is better, else ``"min"``.
        pages: name of a run -> its own page, of those that have one.
    """

    reports: Mapping[str, PruningReport]
    mode: Mode = "max"
    pages: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: Iterable[str | Path], mode: Mode = "max") -> Comparison:
        """Read the folders of runs, see :func:`~physprune_pl.reports.page.finished_run.read_run`.

        Raises:
            FileNotFoundError: when one holds no report.
            ValueError: when there is none, or their metrics are not the same.
        """
        paths = [Path(folder) for folder in dict.fromkeys(map(str, folders))]
        found = [read_report(path) for path in paths]
        metrics = {report.metric_name() for report, _ in found}
        if len(metrics) != 1:
            raise ValueError(f"runs: expected some with one metric to compare, got {sorted(metrics)}")
        named = dict(zip(_names(paths), found, strict=True))
        pages = {name: folder / "report.html" for name, (_, folder) in named.items()}
        return cls({name: report for name, (report, _) in named.items()}, mode, pages)

    def link(self, name: str, page: Path) -> str:
        """Return the address of a run's own page, seen from another one; empty where it has none."""
        own = self.pages.get(name)
        return quote(Path(relpath(own, page.parent)).as_posix()) if own is not None and own.is_file() else ""

    @property
    def metric(self) -> str:
        """Name of the metric and of the data that it was measured on."""
        return next(iter(self.reports.values())).metric_name()

    @property
    def labels(self) -> list[str]:
        """Return a letter for every run, numbers beyond 26."""
        count = len(self.reports)
        return [chr(ord("A") + place) if count <= 26 else str(place + 1) for place in range(count)]

    @cached_property
    def settings(self) -> tuple[str, list[str]]:
        """Words of the commands that all runs share, and for each run its own."""
        commands = [shlex.split(report.command) for report in self.reports.values()]
        shared = [word for word in commands[0] if all(word in command for command in commands)]
        return shlex.join(shared), [shlex.join(word for word in one if word not in shared) for one in commands]

    def rows(self) -> list[tuple[str, ...]]:
        """Return one row per run under :data:`HEAD`."""
        return [
            _row(label, name, report) for label, (name, report) in zip(self.labels, self.reports.items(), strict=True)
        ]

    def points(self, cost: str) -> list[NetworkPoint]:
        """Return the pruned networks, and the dense ones as far as their metric is known.

        Args:
            cost: ``"macs"``: share of the dense network's, or a batch size of the reports' latencies, in ms.
        """
        return [
            point
            for label, report in zip(self.labels, self.reports.values(), strict=True)
            for point in _points(label, report, cost)
        ]

    def best(self) -> list[str]:
        """Return the labels of the runs on the front of quality over MACs."""
        points = self.points("macs")
        line = front([point.place for point in points], self.mode)
        return [point.label for point in points if point.place in line and point.label]

    def pictures(self) -> list[Markup]:
        """Return the fronts over MACs and over the latency of every batch size; those with points only."""
        batches = dict.fromkeys(batch for report in self.reports.values() for batch in report.latency_ms)
        axes = {"macs": "MACs kept, share of the dense network"}
        axes |= {batch: f"latency, {batch.replace('_', ' ')}, median ms" for batch in batches}
        return [
            front_picture(points, self.mode, text, self.metric)
            for cost, text in axes.items()
            if (points := self.points(cost))
        ]


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write the page of a comparison, and return where it is.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    shared, own = comparison.settings
    path = Path(path)
    return write_page(
        path,
        "comparison.html.j2",
        title="Comparison of pruning runs",
        comparison=comparison,
        head=HEAD,
        rows=comparison.rows(),
        links=[comparison.link(name, path) for name in comparison.reports],
        seed_head=SEED_HEAD,
        seeds=seed_rows(dict(zip(comparison.labels, comparison.reports.values(), strict=True))),
        pictures=comparison.pictures(),
        shared=shared,
        own=list(zip(comparison.labels, comparison.reports, own, strict=True)),
        best=comparison.best(),
        measured=any(report.latency_ms for report in comparison.reports.values()),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the folders without what all of them begin with."""
    whole = [str(path.absolute()) for path in paths]
    shared = commonpath(whole) if len(whole) > 1 else str(Path(whole[0]).parent) if whole else ""
    return [str(Path(path).relative_to(shared)) for path in whole]


def _points(label: str, report: PruningReport, cost: str) -> Iterator[NetworkPoint]:
    """Yield the dense network of a run if it was tested, and the pruned one if there is one."""
    figures = RunFigures.of(report)
    costs = {"dense": 1.0, "pruned": figures.kept("macs")} if cost == "macs" else figures.costs.get(cost, {})
    dense, last, cut = figures.score("dense"), figures.final, bool(report.groups)
    if dense is not None and "dense" in costs:
        yield NetworkPoint("" if cut else label, (costs["dense"], dense), dense=True)
    if cut and last is not None and "pruned" in costs:
        yield NetworkPoint(label, (costs["pruned"], last))


def _row(label: str, name: str, report: PruningReport) -> tuple[str, ...]:
    figures, times_of = RunFigures.of(report), next(iter(report.latency_ms.values()), None)
    metric = str(report.metric.get("name", "metric"))
    return (
        label,
        name,
        law_of(report),
        f"{figures.kept('macs'):.1%}",
        f"{figures.kept('params'):.1%}",
        milliseconds(times_of["pruned"]) if times_of else "-",
        times(times_of) if times_of else "-",
        score(metric, figures.score("dense")),
        score(metric, figures.score("after_cut")),
        score(metric, figures.final),
        f"{figures.minutes:.1f}" if report.seconds else "-",
    )
