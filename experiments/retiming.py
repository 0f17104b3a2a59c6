"""Time the networks of finished runs again, on a machine at rest: ``python -m experiments.retiming digits``.

Runs that share a machine leave latencies that say little. This puts new ones into their reports; the command of the
experiment, run once more, then takes them into its results.json without training anything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.bench.committed_results import DATA_SETS, comparison
from experiments.bench.runs import Arm
from experiments.targets.run import SETS
from experiments.training.assembly import build_data, build_model, composed
from physprune_pl import PruningReport, load_pruned
from physprune_pl.latency.race import measure_latency

CURVES = {f"targets/{name}": curves.arms for name, curves in SETS.items()}


def retime(arm: Arm, folder: Path) -> dict[str, dict[str, float]]:
    """Measure dense and pruned network of a finished run in turn, and write it into the report.

    Args:
        arm: of the run.
        folder: of the run, with ``report.json`` and ``checkpoints/best.ckpt``.

    Returns:
        Milliseconds as :func:`~physprune_pl.latency.race.measure_latency` gives them.
    """
    config = composed([*arm.overrides, f"paths.output={json.dumps(str(folder))}"])
    data = build_data(config)
    dense = build_model(config, data).network
    pruned = load_pruned(build_model(config, data), folder / "checkpoints" / "best.ckpt").network
    found = measure_latency({"dense": dense, "pruned": pruned}, data.example(1))
    report = PruningReport.from_json((folder / "report.json").read_text(encoding="utf-8"))
    replace(report, latency_ms=found).save(folder)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Go through all runs of an experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*DATA_SETS, *CURVES])
    parser.add_argument("--runs", type=Path, help="folder of the runs, runs/NAME unless it is given")
    options = parser.parse_args(arguments)
    arms = CURVES[options.name] if options.name in CURVES else comparison(options.name).arms
    runs = options.runs or Path("runs") / options.name
    for arm in arms:
        for report in sorted((runs / arm.name).glob("*/report.json")):
            print(arm.name, report.parent.name, retime(arm, report.parent), flush=True)


if __name__ == "__main__":
    main()
