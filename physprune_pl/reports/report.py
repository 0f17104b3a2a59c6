"""What a fit did to a network: costs, metric, groups, time and memory, as data, JSON, markdown or a table."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from physprune_pl.reports.epoch_costs import shares_of_dense
from physprune_pl.reports.fit_cost import HEAD, cost_rows
from physprune_pl.reports.fit_facts import FitFacts
from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.reports.next_steps import next_steps
from physprune_pl.reports.result_sentence import result_sentence
from physprune_pl.reports.tables import latency_words, markdown, terminal
from physprune_pl.tools.files import replaced
from physprune_pl.tools.plain_tables import saving, short

Row = tuple[str, str, str, str]

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")

MEMORY = {
    "cuda": "Peak memory: the most that was allocated on the GPU in the phase.",
    "process": "Peak memory: the most that the whole process had resident since its start, so it never falls.",
}

# Names of modules in one line for a terminal.
NAMED = 5


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that decide the figures, and of this one."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("physprune_pl", *PACKAGES)}


def command_line() -> str:
    """Return the command that started this program, quoted as a shell wants it.

    A module run by ``python -m`` is named as one, since its file alone would not find its neighbours.
    """
    script, *arguments = sys.argv
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", spec.name.removesuffix(".__main__")] if spec is not None and spec.origin == script else [script]
    return shlex.join(["python", *program, *arguments])


@dataclass(frozen=True)
class PruningReport:
    """Outcome of a pruning run; ``report.json`` has the same fields.

    Attributes:
        macs: MACs of one sample, ``{"dense": n, "pruned": n}``.
        params: number of parameters, alike.
        metric: ``name``, ``split``, then ``dense``, ``after_sparsify``, ``after_cut``, ``after_recalibration`` and
            ``after_finetune``, each a number or None when it was not measured. The fit goes on from the cut network,
            not from the recalibrated one.
        groups: per group ``name``, ``before``, ``after`` (channels) and ``exact``.
        left_whole: per module that is never cut ``name`` and ``reason``.
        seconds: wall time of each phase.
        epochs: MACs of one sample and wall time in each epoch, ``{"macs": [...], "seconds": [...]}``.
        peak_memory_bytes: most memory in use in each phase, ``{"sparsify": n, "cut": n, "finetune": n}``, of the
            first process.
        memory_kind: what that is: ``"cuda"``, allocated on the GPU within the phase; ``"process"``, resident memory
            of the process since its start, as of the end of the phase; empty when nothing was measured.
        not_arrived: groups that steering could not bring to zero before the cut.
        dead_groups: groups of which no channel does anything any more; the whole branch could be removed by hand.
        file_bytes: size of the saved weights, ``{"dense": n, "pruned": n}``.
        latency_ms: median milliseconds per batch size, ``{"batch_1": {"dense": x, "pruned": x}, ...}``.
        latency_target: of a run with a latency target, shares of the dense network's latency, ``asked``, ``predicted``
            by the times of its layers and ``measured`` right after the cut, and the times themselves, see
            :class:`~physprune_pl.surgery.plan.PruningPlan`.
        command: command line of the run.
        versions: package -> version.
        seed: random seed of the run.
        fit: what was trained and how, see :class:`~physprune_pl.reports.fit_facts.FitFacts`.

    >>> report = PruningReport({"dense": 100, "pruned": 40}, {"dense": 10, "pruned": 5}, {"name": "val_acc"}, [])
    >>> report.costs()
    [('MACs', '100', '40', '2.50x fewer (40 % kept)'), ('parameters', '10', '5', '2.00x fewer (50 % kept)')]
    """

    macs: Mapping[str, int]
    params: Mapping[str, int]
    metric: Mapping[str, Any]
    groups: list[Mapping[str, Any]]
    left_whole: list[Mapping[str, str]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    epochs: Mapping[str, list[float]] = field(default_factory=dict)
    peak_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    memory_kind: str = ""
    not_arrived: list[str] = field(default_factory=list)
    dead_groups: list[str] = field(default_factory=list)
    file_bytes: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    latency_target: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)
    seed: int | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> FitFacts:
        """What was trained and how."""
        return FitFacts.of(self.fit)

    def sentence(self) -> str:
        """Return what the fit was and what came of it, in one sentence."""
        return result_sentence(self.facts, self.macs, self.latency_ms, self.metric, self.seed)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PruningReport:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: when the text is not JSON or it has other keys than a report.
        """
        try:
            return cls(**json.loads(text))
        except ValueError as error:
            raise ValueError(f"text: expected the JSON of a PruningReport, got {text[:40]!r} ({error})") from error
        except TypeError as error:
            raise ValueError(f"text: expected the fields of a PruningReport, got other ones: {error}") from error

    def save(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.md``, each in one piece, into a folder, which is made if it is missing."""
        for name, text in (("report.json", self.to_json()), ("report.md", self.to_markdown())):
            with replaced(Path(folder) / name) as part:
                part.write_text(text, encoding="utf-8")

    def to_markdown(self) -> str:
        """Return the report as a markdown page."""
        parts = [
            "# Pruning report\n",
            f"{self.sentence()}\n",
            markdown(("", "dense", "pruned", "saved"), self.costs()),
            markdown((self.metric_name(), "value"), self._scores()),
            markdown(("group", "before", "after", "exact"), self._widths()),
            markdown(("not pruned because", "modules", "names"), self._left_whole()),
            markdown(HEAD, self.phases()),
            markdown(("package", "version"), list(self.versions.items())),
            self._notes(),
            self._next_steps(),
        ]
        return "\n".join(part for part in parts if part)

    def table(self) -> str:
        """Return all but the groups' widths as text for a terminal, drawn by rich where it is installed."""
        scores = [(name, "", value, "") for name, value in self._scores()]
        parts = [
            self.sentence(),
            terminal("Pruning report", ("", "dense", "pruned", "saved"), [*self.costs(), *scores]),
            terminal("Phases", HEAD, self.phases()),
            self._left_whole_lines(),
            self._notes(),
            f"Versions: {', '.join(f'{name} {number}' for name, number in self.versions.items())}.",
        ]
        return "\n".join(part for part in parts if part).rstrip()

    def costs(self) -> list[Row]:
        """Return name, dense cost, pruned cost and what is saved, as words, of everything that was measured."""
        rows = [_cost("MACs", self.macs, short), _cost("parameters", self.params, short)]
        if self.file_bytes:
            rows.append(_cost("file, bytes", self.file_bytes, short, "smaller"))
        for batch, times in self.latency_ms.items():
            name = f"latency, {batch.replace('_', ' ')}"
            rows.append(_cost(name, times, "{:.2f} ms".format, "faster"))
        return rows

    def training_costs(self) -> list[tuple[str, str]]:
        """Return, as words, by what measure training has cost which share of as many epochs of the dense network."""
        found = shares_of_dense(self.epochs, self.macs["dense"])
        what = "training cost over that of as many dense epochs"
        return [(f"{what}, by {name}", f"{share:.2f}") for name, share in found.items()]

    def metric_name(self) -> str:
        """Return the name of the metric, and of the data that it was measured on."""
        return f"{self.metric.get('name', 'metric')} ({self.metric.get('split', 'val')})"

    def _scores(self) -> list[tuple[str, str]]:
        known = [(text, self.metric.get(key)) for key, text in PHASES.items()]
        return [(f"{self.metric_name()}, {text}", f"{value:.4f}") for text, value in known if value is not None]

    def _widths(self) -> list[Row]:
        return [
            (group["name"], str(group["before"]), str(group["after"]), "yes" if group["exact"] else "no")
            for group in self.groups
        ]

    def phases(self) -> list[Row]:
        """Return name, seconds, share of all seconds and peak memory of every phase and of all, as words."""
        return cost_rows(self.seconds, {name: f"{short(peak)}B" for name, peak in self.peak_memory_bytes.items()})

    def reasons(self) -> Mapping[str, list[str]]:
        """Return modules by the reason that they share, the most common reason first."""
        found = defaultdict(list)
        for part in self.left_whole:
            found[part["reason"]].append(part["name"])
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def _left_whole(self) -> list[tuple[str, str, str]]:
        return [(reason, str(len(names)), ", ".join(names)) for reason, names in self.reasons().items()]

    def _left_whole_lines(self) -> str:
        return "\n".join(f"Not pruned: {_some(names)}: {reason}." for reason, names in self.reasons().items())

    def _notes(self) -> str:
        cut = sum(group["after"] < group["before"] for group in self.groups)
        lines = [f"{cut} of {len(self.groups)} groups cut, {len(self.left_whole)} modules not pruned."]
        lines += [f"{name[0].upper()}{name[1:]}: {share}." for name, share in self.training_costs()]
        if self.latency_target:
            lines.append(latency_words(self.latency_target))
        if self.not_arrived:
            lines.append(f"Not at zero before the cut: {', '.join(self.not_arrived)}.")
        if self.dead_groups:
            lines.append(f"Dead, their branches could be removed: {', '.join(self.dead_groups)}.")
        if self.peak_memory_bytes:
            lines.append(MEMORY.get(self.memory_kind, f"Peak memory: {self.memory_kind}."))
        if self.command:
            # Indented, markdown shows it as it is, whatever characters it has.
            seed = "" if self.seed is None else f", seed {self.seed}"
            lines.append(f"Command{seed}:\n\n    {self.command}")
        return "\n\n".join(lines) + "\n"

    def _next_steps(self) -> str:
        steps = [
            f"### {step.what}\n\n{step.note}\n\n```{step.language}\n{step.code}\n```\n".replace("\n\n\n\n", "\n\n")
            for step in next_steps(self.facts, self.metric)
        ]
        return "\n".join(["## Use it next\n", *steps]) if steps else ""


def _cost(name: str, cost: Mapping[str, float], show: Any, less: str = "fewer") -> Row:
    dense, pruned = cost["dense"], cost["pruned"]
    return name, show(dense), show(pruned), saving(dense, pruned, less)


def _some(names: list[str]) -> str:
    """Name the first few and count the others.

    >>> _some(["a", "b"]), _some(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
