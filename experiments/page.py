"""One page of all committed results: ``python -m experiments.page`` rewrites README.md and the pictures beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.bench.committed_results import DATA_SETS, FOLDER, comparison, results
from experiments.bench.paired import table as paired_table
from experiments.bench.price import table as price_table
from experiments.bench.runs import Result, stored, table
from experiments.finetuning.run import table as finetuning_table
from experiments.overview import table as overview_table
from experiments.papers.reach import table as reach_table
from experiments.peers.run import JOBS, SEEDS
from experiments.scratch.run import table as scratch_table
from experiments.targets.picture import COSTS
from experiments.targets.run import SETS
from experiments.targets.run import page as targets_table
from experiments.training.sweeps.arm_picture import ArmPoint, draw
from experiments.training.sweeps.figures import ArmFigures

README = FOLDER / "README.md"
TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end of table -->\n)", re.DOTALL)


def not_run(arms: Sequence[str], seeds: Sequence[int], found: Sequence[Mapping[str, Any]]) -> str:
    """Say which arms lack which seeds, in one line.

    >>> not_run(["a", "b"], [0, 1], [{"arm": "a", "seed": 0}])
    'Not run: a (seed 1); b.'
    >>> not_run(["a"], [0], [{"arm": "a", "seed": 0}])
    'All rows were run.'
    """
    done = {(one["arm"], one["seed"]) for one in found}
    missing = {arm: [seed for seed in seeds if (arm, seed) not in done] for arm in arms}
    parts = [
        arm if lacking == list(seeds) else f"{arm} ({_seeds(lacking)})" for arm, lacking in missing.items() if lacking
    ]
    return f"Not run: {'; '.join(parts)}." if parts else "All rows were run."


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def section(name: str) -> str:
    """Return the command, the table and what is missing of one data set."""
    found, wanted = results(name), comparison(name)
    lacking = not_run([arm.name for arm in wanted.arms], wanted.seeds, found)
    return f"`python -m experiments.bench.comparisons {name}`\n\n{table(found)}\n{lacking}\n"


def peers() -> str:
    """Return the same of the other programs, of every job."""
    return "\n".join(_peers(name) for name, job in JOBS.items() if job.path.exists())


def _peers(name: str) -> str:
    job = JOBS[name]
    found = stored(job.path)
    return (
        f"`python -m experiments.peers.run --job {name}`\n\n{job.page(found)}\n{not_run(job.programs, SEEDS, found)}\n"
    )


def tables() -> dict[str, str]:
    """Return everything that README.md has between its marks, by name."""
    more = {"peers": peers(), "targets": targets_table(), "scratch": scratch_table(results("scratch"))}
    more["finetuning"] = finetuning_table(results("finetuning"))
    more["reach"] = f"`python -m experiments.papers.reach`\n\n{reach_table(results('papers/reach'))}"
    everything = settings()
    more |= {"paired": paired_table(everything), "price": price_table(everything)}
    more["overview"] = overview_table()
    return {**{name: section(name) for name in DATA_SETS}, **more}


def settings() -> dict[str, list[Result]]:
    """Return the results of all comparisons and curves, by name."""
    curves = {f"targets, {name}": stored(FOLDER / "targets" / f"{name}.json") for name in SETS}
    return {name: results(name) for name in DATA_SETS} | curves


def filled(text: str, parts: Mapping[str, str]) -> str:
    """Return a page with new tables between its marks.

    Raises:
        ValueError: when the marks are not those of the tables.
    """
    marks = [name for _, name, _ in TABLE.findall(text)]
    if sorted(marks) != sorted(parts):
        raise ValueError(f"README.md: expected the marks of the tables {sorted(parts)}, got {marks}")
    return TABLE.sub(lambda found: found[1] + parts[found[2]] + found[3], text)


def points(found: Sequence[Result]) -> Iterator[ArmPoint]:
    """Yield every arm that was cut, in the order of the results: shares of the costs kept, test accuracy in the end."""
    for arm in dict.fromkeys(one["arm"] for one in found if one["metric"]["after_finetune"] is not None):
        figures = ArmFigures.of([one for one in found if one["arm"] == arm])
        shares = {name: figures.kept(cost) for name, cost in COSTS.items()}
        yield ArmPoint(arm, shares, figures.scores("after_finetune"))


def main() -> None:
    """Rewrite the tables and draw a picture for every data set."""
    README.write_text(filled(README.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    for name in DATA_SETS:
        found = results(name) + (stored(JOBS[name].path) if name in JOBS else [])
        dense = [one["metric"]["dense"] for one in found if one["arm"] == "dense"]
        draw(list(points(found)), dense, "accuracy (test)", FOLDER / name / "pareto.png")


if __name__ == "__main__":
    main()
