"""What a run left in its folder: the report, the history of the channels, the curves of the loggers, the settings."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from physprune_pl.history import History, read_arrays
from physprune_pl.reports.report import PruningReport
from physprune_pl.tools.files import newest_folder, numbers_of

Curve = Mapping[int, float]

# Name of the folder of a fit in the folder of its logs; `pruning-1` and so on are of later fits there.
FIT_FOLDER = "pruning"

# Hydra's and Lightning's files of settings, relative to the folder of a run.
SETTINGS = (".hydra/config.yaml", "hparams.yaml")


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        folder: where it lies.
        name: of its logs, which a reader knows it by.
        report: what it did.
        history: of its channels, as :func:`~physprune_pl.history.read_arrays` gives it; None without a file.
        curves: name of a logged scalar -> epoch -> its mean over the epoch; empty without ``metrics.csv``.
        settings: name of a file of settings -> its text.
    """

    folder: Path
    name: str
    report: PruningReport
    history: History | None
    curves: Mapping[str, Curve]
    settings: Mapping[str, str]


def read_run(folder: str | Path) -> FinishedRun:
    """Read the folder of a run.

    Args:
        folder: with ``report.json``, or the folder of logs of a fit, whose ``pruning`` has it; of several the newest.
            ``channels.npz`` lies there too or below, ``metrics.csv`` and settings with the logs.

    Raises:
        FileNotFoundError: when the folder holds no report.
        ValueError: when one of the files is not what its name says.
    """
    report, folder = read_report(folder)
    logs = _logs(folder)
    history = _nearest(folder, "channels.npz")
    metrics = _nearest(logs, "metrics.csv")
    return FinishedRun(
        folder,
        logs.name,
        report,
        None if history is None else read_arrays(history),
        {} if metrics is None else read_curves(_parts(metrics)),
        {name: (logs / name).read_text(encoding="utf-8") for name in SETTINGS if (logs / name).is_file()},
    )


def read_report(folder: str | Path) -> tuple[PruningReport, Path]:
    """Read the report of a run alone; return where it lies too.

    Args:
        folder: as for :func:`read_run`.

    Raises:
        FileNotFoundError: when the folder holds no report.
        ValueError: when the file is not what its name says.
    """
    found = Path(folder)
    if not (found / "report.json").is_file():
        found = newest_folder(found, FIT_FOLDER) or found
    page = found / "report.json"
    if not page.is_file():
        raise FileNotFoundError(f"folder: expected one with the report.json of a run, got {str(folder)!r}")
    return PruningReport.from_json(page.read_text(encoding="utf-8")), found


def _logs(folder: Path) -> Path:
    """Return the folder of the logs: the one that the folder of a fit lies in."""
    folder = folder.absolute()
    return folder.parent if numbers_of([folder], FIT_FOLDER) else folder


def _nearest(folder: Path, name: str) -> Path | None:
    """Return the file of that name that lies least deep, of several the newest."""
    found = list(folder.rglob(name))
    return min(found, key=lambda path: (len(path.parts), -path.stat().st_mtime), default=None)


def _parts(metrics: Path) -> list[Path]:
    """Return the files that an interrupted run was logged to, ``metrics-1.csv`` and so on, the newest last."""
    numbered = {int(found[1]): path for path in metrics.parent.iterdir() if (found := _NUMBERED.fullmatch(path.name))}
    return [*(numbered[number] for number in sorted(numbered)), metrics]


_NUMBERED = re.compile(r"metrics-(\d+)\.csv")


def read_curves(paths: Iterable[Path]) -> dict[str, Curve]:
    """Read files of a CSV logger, each of a later part of the run than the one before.

    Returns:
        Name of a column -> epoch -> mean of its values; an epoch that was run twice counts as it was run last.
    """
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for path in paths:
        found: dict[tuple[str, int], list[float]] = defaultdict(list)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, text in row.items():
                    if text and row.get("epoch") and name not in ("epoch", "step"):
                        found[name, int(row["epoch"])].append(float(text))
        for (name, epoch), values in found.items():
            curves[name][epoch] = fmean(values)
    return {name: dict(sorted(curve.items())) for name, curve in curves.items()}
