"""What a fit did to a network: costs, metric, groups and time, as data, JSON, markdown or a table."""

from __future__ import annotations

import importlib.util
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

Row = tuple[str, str, str, str]

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")

PHASES = {
    "dense": "dense baseline",
    "after_sparsify": "after the sparsify phase",
    "after_cut": "right after the cut",
    "after_finetune": "after fine-tuning",
}


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that decide the figures, and of this one."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("physprune_pl", *PACKAGES)}


@dataclass(frozen=True)
class PruningReport:
    """Outcome of a pruning run; the fields are those of ``report.json``.

    Attributes:
        macs: multiply-adds of one sample, ``{"dense": n, "pruned": n}``.
        params: number of parameters, alike.
        metric: ``name``, ``split``, then ``dense``, ``after_sparsify``, ``after_cut`` and ``after_finetune``, each a
            number or None when it was not measured.
        groups: per group ``name``, ``before``, ``after`` (channels) and ``exact``.
        left_whole: per module that is never cut ``name`` and ``reason``.
        seconds: wall time of each phase.
        not_arrived: groups that steering could not bring to zero before the cut.
        dead_groups: groups of which no channel does anything any more; the whole branch could be removed by hand.
        file_bytes: size of the saved weights, ``{"dense": n, "pruned": n}``.
        latency_ms: median milliseconds per batch size, ``{"batch_1": {"dense": x, "pruned": x}, ...}``.
        command: command line of the run.
        versions: package -> version.
        seed: random seed of the run.
    """

    macs: Mapping[str, int]
    params: Mapping[str, int]
    metric: Mapping[str, Any]
    groups: list[Mapping[str, Any]]
    left_whole: list[Mapping[str, str]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    not_arrived: list[str] = field(default_factory=list)
    dead_groups: list[str] = field(default_factory=list)
    file_bytes: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)
    seed: int | None = None

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PruningReport:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: when the text is not JSON or its keys are not those of a report.
        """
        data = json.loads(text)
        try:
            return cls(**data)
        except TypeError as error:
            raise ValueError(f"text: expected the fields of a PruningReport, got other ones: {error}") from error

    def save(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.md`` into a folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(self.to_json(), encoding="utf-8")
        (folder / "report.md").write_text(self.to_markdown(), encoding="utf-8")

    def to_markdown(self) -> str:
        """Return the report as a markdown page."""
        parts = [
            "# Pruning report\n",
            _markdown(("", "dense", "pruned", "ratio"), self._costs()),
            _markdown((self._metric_name(), "value"), self._scores()),
            _markdown(("group", "before", "after", "exact"), self._widths()),
            _markdown(("left whole", "reason"), [(part["name"], part["reason"]) for part in self.left_whole]),
            _markdown(("phase", "seconds"), [(name, f"{value:.1f}") for name, value in self.seconds.items()]),
            self._notes(),
        ]
        return "\n".join(part for part in parts if part)

    def table(self) -> str:
        """Return costs and metric as text for a terminal, drawn by rich where it is installed."""
        rows = [*self._costs(), *((name, "", value, "") for name, value in self._scores())]
        head = ("", "dense", "pruned", "ratio")
        draw = _rich_table if importlib.util.find_spec("rich") else _plain_table
        return f"{draw(head, rows)}\n{self._notes()}".rstrip()

    def _costs(self) -> list[Row]:
        rows = [_cost("MACs", self.macs, _si), _cost("parameters", self.params, _si)]
        if self.file_bytes:
            rows.append(_cost("file, bytes", self.file_bytes, _si))
        for batch, times in self.latency_ms.items():
            rows.append(_cost(f"latency, {batch.replace('_', ' ')}", times, "{:.2f} ms".format))
        return rows

    def _metric_name(self) -> str:
        return f"{self.metric.get('name', 'metric')} ({self.metric.get('split', 'val')})"

    def _scores(self) -> list[tuple[str, str]]:
        known = [(text, self.metric.get(key)) for key, text in PHASES.items()]
        return [(f"{self._metric_name()}, {text}", f"{value:.4f}") for text, value in known if value is not None]

    def _widths(self) -> list[Row]:
        return [
            (group["name"], str(group["before"]), str(group["after"]), "yes" if group["exact"] else "no")
            for group in self.groups
        ]

    def _notes(self) -> str:
        cut = sum(group["after"] < group["before"] for group in self.groups)
        lines = [f"{cut} of {len(self.groups)} groups cut, {len(self.left_whole)} modules left whole."]
        if self.not_arrived:
            lines.append(f"Not at zero before the cut: {', '.join(self.not_arrived)}.")
        if self.dead_groups:
            lines.append(f"Dead, their branches could be removed: {', '.join(self.dead_groups)}.")
        if self.command:
            lines.append(f"Command: `{self.command}`, seed {self.seed}.")
        return "\n\n".join(lines) + "\n"


def _cost(name: str, cost: Mapping[str, float], show: Any) -> Row:
    dense, pruned = cost["dense"], cost["pruned"]
    return name, show(dense), show(pruned), f"{dense / pruned:.2f}x" if pruned else "-"


def _si(value: float) -> str:
    """Write a count with three or four digits and a unit of thousands, such as ``"31.72 M"``.

    >>> _si(31_720_000), _si(950)
    ('31.72 M', '950')
    """
    for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:.2f} {unit}"
    return str(int(value))


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = [f"| {' | '.join(row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""])


def _plain_table(head: Row, rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in (head, *rows))
    ]
    return "\n".join(line.rstrip() for line in lines)


def _rich_table(head: Row, rows: list[Row]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Pruning report", title_justify="left")
    for column, title in enumerate(head):
        table.add_column(title, justify="right" if column else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()
