"""Runs arms of an experiment with several seeds, one after the other and resumable, and writes one results.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.training.assembly import composed
from experiments.training.sweeps.figures import ArmFigures, hardware, percent, spread
from physprune_pl.latency.hardware import processor
from physprune_pl.reports.report import PruningReport, versions

Result = dict[str, Any]

# Between the name of a law and the share of the MACs that its network keeps.
AT = " at "


@dataclass(frozen=True)
class Arm:
    """One row of the table: a name and the overrides that make it."""

    name: str
    overrides: tuple[str, ...]


def run_arms(
    arms: Sequence[Arm], seeds: Iterable[int], runs: Path, run: Callable[[Any], tuple[PruningReport, float]]
) -> Iterator[Result]:
    """Yield the result of every arm and seed; what has a report under ``runs`` already is not run again.

    Args:
        arms: the first is the dense baseline, whose checkpoint of the same seed the others are compared with.
        seeds: random seeds.
        runs: folder of the runs, ``<arm>/<seed>``.
        run: what train.py does with a configuration.
    """
    for seed in seeds:
        baseline = runs / arms[0].name / str(seed) / "checkpoints" / "best.ckpt"
        for arm in arms:
            folder = runs / arm.name / str(seed)
            extra = () if arm is arms[0] else (f"baseline={baseline}",)
            if not (folder / "report.json").exists():
                run(composed([*arm.overrides, *extra, f"seed={seed}", f"paths.output={folder}"]))
            report = PruningReport.from_json((folder / "report.json").read_text())
            yield _result(arm, seed, report)


def _result(arm: Arm, seed: int, report: PruningReport) -> Result:
    kept = ("macs", "params", "file_bytes", "latency_ms", "metric", "seconds", "not_arrived", "dead_groups")
    figures = {name: getattr(report, name) for name in kept}
    return {"arm": arm.name, "seed": seed, "overrides": list(arm.overrides), **figures}


def save(results: list[Result], command: str, path: Path) -> None:
    """Write all results with everything that is needed to repeat them.

    Each names the processor that it was found on, this one where it names none yet: files grow on several machines,
    and ``hardware`` is the one that wrote last.
    """
    named = [{"processor": processor(), **one} for one in results]
    page = {"command": command, "hardware": hardware(), "versions": versions(), "results": named}
    path.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")


def stored(path: Path) -> list[Result]:
    """Return the results that a results.json holds, none where there is no file."""
    found: list[Result] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    return found


def merged(old: Sequence[Result], new: Sequence[Result], arms: Sequence[str]) -> list[Result]:
    """Return old and new results in the order of the arms and seeds, the new ones in the place of the old."""
    found = {(one["arm"], one["seed"]): one for one in [*old, *new]}
    return sorted(found.values(), key=lambda one: (arms.index(one["arm"]), one["seed"]))


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a markdown table, one row per arm: mean ± standard deviation over the seeds.

    Accuracies are test accuracies in per cent; latency is that of the pruned network as a share of the dense one's.
    """
    head = ["arm", "seeds", "MACs", "parameters", "dense", "before the cut", "right after", "fine-tuned"]
    head += ["latency, batch 1", "latency, batch 32", "groups not at zero"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for arm in dict.fromkeys(result["arm"] for result in results):
        lines.append(f"| {' | '.join(_row(arm, [one for one in results if one['arm'] == arm]))} |")
    return "\n".join(lines) + "\n"


def _row(arm: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (arm, str(len(runs)))
    figures = ArmFigures.of(runs)
    for cost in ("macs", "params"):
        yield spread(figures.less(cost), "{:.2f}") + "x fewer"
    for phase in ("dense", "after_sparsify", "after_cut", "after_finetune"):
        yield percent(figures.scores(phase))
    for batch in ("batch_1", "batch_32"):
        yield spread(figures.kept(batch), "{:.2f}")
    yield spread([len(run["not_arrived"]) for run in runs], "{:.1f}")


def write_table(readme: Path, text: str) -> None:
    """Put a table between the markers of a README.

    Raises:
        ValueError: when the markers are not there.
    """
    begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
    page = readme.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise ValueError(f"{readme}: expected the lines {begin.strip()!r} and {end.strip()!r}")
    before, after = page.split(begin)[0], page.split(end)[1]
    readme.write_text(before + begin + text + end + after, encoding="utf-8")
