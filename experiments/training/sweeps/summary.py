"""From the folder of a sweep to its summary: summary.json, a table, a picture and a page.

``python -m experiments.training.sweeps.summary FOLDER`` rebuilds it, also of a sweep that was interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.training.sweeps.arm_picture import draw
from experiments.training.sweeps.arms import HEAD, FinishedArm
from experiments.training.sweeps.figures import hardware
from physprune_pl.reports.page import Comparison, write_comparison
from physprune_pl.reports.report import PruningReport
from physprune_pl.reports.tables import terminal, unbroken

FAILURE, PAGE = "failure.json", "comparison.html"
Overrides = tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        name: its folder, relative to the sweep's.
        overrides: what the sweep set in it.
        report: of the run; None when it has none.
        error: what made it fail, in one line; None when it did not fail.
    """

    name: str
    overrides: Overrides
    report: PruningReport | None
    error: str | None

    @property
    def arm(self) -> Overrides:
        """The overrides without the seed: what jobs that differ by nothing but chance have in common."""
        return tuple(one for one in self.overrides if one.lstrip("+").partition("=")[0] != "seed")

    def to_dict(self) -> dict[str, Any]:
        """Return what summary.json says of the job."""
        page = {"job": self.name, "overrides": list(self.overrides)}
        if self.report is None:
            return page if self.error is None else {**page, "error": self.error}
        kept = ("seed", "macs", "params", "metric", "seconds", "not_arrived")
        return page | {name: getattr(self.report, name) for name in kept}


@dataclass(frozen=True)
class Summary:
    """What became of a sweep.

    Attributes:
        command: that started it.
        jobs: all of them, by number.
    """

    command: str
    jobs: Sequence[Job]

    @property
    def done(self) -> list[Job]:
        """Jobs that have a report and did not fail."""
        return [job for job in self.jobs if job.report is not None]

    @property
    def failed(self) -> list[Job]:
        """Jobs that raised an exception."""
        return [job for job in self.jobs if job.error is not None]

    @property
    def unfinished(self) -> list[Job]:
        """Jobs that were begun, and neither ended nor failed."""
        return [job for job in self.jobs if job.report is None and job.error is None]

    @property
    def shared(self) -> Overrides:
        """Overrides that all jobs have, in the order of the first."""
        first = self.jobs[0].arm if self.jobs else ()
        return tuple(one for one in first if all(one in job.arm for job in self.jobs))

    @cached_property
    def arms(self) -> list[FinishedArm]:
        """The arms with at least one report, named by the overrides that set them apart."""
        shared, found = set(self.shared), dict[Overrides, list[PruningReport]]()
        for job in self.jobs:
            if job.report is not None:
                found.setdefault(job.arm, []).append(job.report)
        names = {arm: " ".join(one for one in arm if one not in shared) or "all jobs" for arm in found}
        return [FinishedArm(names[arm], tuple(reports)) for arm, reports in found.items()]

    @property
    def dense(self) -> list[float]:
        """Metric of the dense baselines that the reports name, one per seed."""
        reports = [report for arm in self.arms for report in arm.reports]
        by_seed = {report.seed: report.metric.get("dense") for report in reports}
        return [score for score in by_seed.values() if score is not None]

    def text(self) -> str:
        """Return table, failures and what all jobs share, for a terminal."""
        title = f"Sweep: {len(self.done)} of {len(self.jobs)} jobs done; mean ± standard deviation over the seeds"
        rows = [arm.row() for arm in self.arms]
        lines = [terminal(title, HEAD, rows, unbroken(HEAD, rows))]
        lines += [f"All jobs: {' '.join(self.shared)}"] if self.shared else []
        lines += [f"FAILED: job {job.name}, {self._own(job)}: {job.error}" for job in self.failed]
        lines += [f"Not finished: job {job.name}, {self._own(job)}" for job in self.unfinished]
        return "\n".join(line for line in lines if line)

    def _own(self, job: Job) -> str:
        return " ".join(one for one in job.overrides if one not in self.shared)

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of summary.json."""
        return {
            "command": self.command,
            "hardware": hardware(),
            "versions": self.arms[0].reports[0].versions if self.arms else {},
            "shared": list(self.shared),
            "arms": [arm.to_dict() for arm in self.arms],
            "jobs": [job.to_dict() for job in self.done],
            "failed": [job.to_dict() for job in self.failed],
            "unfinished": [job.to_dict() for job in self.unfinished],
        }


def read(folder: Path) -> Summary:
    """Read what the jobs of a sweep left behind.

    Raises:
        FileNotFoundError: when the folder holds no job.
    """
    overrides = sorted(folder.rglob(".hydra/overrides.yaml"), key=lambda path: _place(path.parent.parent, folder))
    jobs = [_job(path.parent.parent, folder) for path in overrides]
    if not jobs:
        raise FileNotFoundError(f"folder: expected one with the jobs of a sweep, found none in {folder}")
    return Summary(_command(folder), jobs)


def _place(job: Path, folder: Path) -> tuple[int, str]:
    """Sort jobs by number, and what is not numbered by name."""
    name = str(job.relative_to(folder))
    return int(name) if name.isdecimal() else -1, name


def _job(job: Path, folder: Path) -> Job:
    overrides = _plain(OmegaConf.load(job / ".hydra" / "overrides.yaml"))
    failure, report = job / FAILURE, job / "report.json"
    error = json.loads(failure.read_text(encoding="utf-8"))["error"] if failure.exists() else None
    # A job that failed may have the report of an earlier sweep into the same folder.
    found = PruningReport.from_json(report.read_text(encoding="utf-8")) if error is None and report.exists() else None
    return Job(str(job.relative_to(folder)), overrides, found, error)


def _command(folder: Path) -> str:
    """Return the command of the sweep, from the configuration that Hydra keeps of it."""
    kept = folder / "multirun.yaml"
    if not kept.exists():
        return ""
    given = OmegaConf.load(kept).hydra.overrides
    settings = [one for one in _plain(given.hydra) if one != "hydra.mode=MULTIRUN"]
    return shlex.join(["python", "train.py", "-m", *_plain(given.task), *settings])


def _plain(overrides: Any) -> Overrides:
    """Return overrides as they were given: one that refers to another setting is not looked up."""
    found = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(found, list)
    return tuple(map(str, found))


def summarise(folder: Path) -> Summary:
    """Write summary.json into the folder of a sweep, pareto.png and comparison.html where a job was done.

    Raises:
        FileNotFoundError: when the folder holds no job.
        ModuleNotFoundError: when matplotlib is missing.
    """
    summary = read(folder)
    (folder / "summary.json").write_text(json.dumps(summary.to_dict(), indent=1) + "\n", encoding="utf-8")
    if summary.arms:
        draw([arm.point() for arm in summary.arms], summary.dense, summary.arms[0].metric, folder / "pareto.png")
        write_comparison(Comparison.of([folder / job.name for job in summary.done]), folder / PAGE)
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Summarise from the command line."""
    parser = argparse.ArgumentParser(description="Summary of a sweep of train.py: summary.json, table, pareto.png.")
    parser.add_argument("folder", type=Path, help="of the sweep, such as runs/sweeps/2030-01-31/12-00-00")
    print(summarise(parser.parse_args(arguments).folder).text())


if __name__ == "__main__":
    main()
