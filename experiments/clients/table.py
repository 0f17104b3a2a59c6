"""The tables of the clients' README, made from results.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.clients.environments import REQUIREMENTS

Row = Mapping[str, Any]

STAGES = ("dense", "dense_tested", "pruned", "tested", "reloaded", "resumed_under_force", "resumed_after_cut", "small")
# Validation in float32, on one thread, of the same weights: nothing but the order of sums may differ.
SAME = 1e-4
FIGURES = ("dense", "pruned", "small")
HEAD = (
    "library",
    "module",
    "MACs kept",
    "parameters kept",
    "metric",
    "epochs",
    *FIGURES,
    "test",
    "load",
    "resume",
    "s",
)


def problems(row: Row) -> list[str]:
    """Return what went wrong, a line a stage."""
    return [f"{stage}: {row[stage]['failure']}" for stage in STAGES if "failure" in row.get(stage, {})] + [
        f"{stage}: ended {row[stage]['difference']:.2g} away" for stage in STAGES if not _same(row.get(stage, {}))
    ]


def tables(rows: Sequence[Row]) -> str:
    """Return the table of the clients, what each is peculiar in, and what went wrong, as markdown."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    lines += ["", "| library | versions | what differs from `x, y = batch` |", "|---|---|---|"]
    lines += [f"| {row['client']} | {_version(row)} | {row.get('style', '-')} |" for row in rows]
    wrong = [f"- {row['client']}: {line}" for row in rows for line in problems(row)]
    return "\n".join([*lines, "", "What did not go as it should:", "", *(wrong or ["- nothing"]), ""])


def _cells(row: Row) -> Iterator[str]:
    yield from (str(row["client"]), str(row.get("what", "-")))
    kept = row.get("pruned", {}).get("kept", {})
    yield from (f"{kept[cost]:.1%}" if cost in kept else "-" for cost in ("macs", "params"))
    yield f"{row.get('metric', '-')} ({'less' if row.get('mode') == 'min' else 'more'} is better)"
    yield " + ".join(map(str, row.get("epochs", "-")))
    yield from (_figure(row.get(stage)) for stage in FIGURES)
    yield _tested(row)
    yield _yes(row.get("reloaded"))
    yield " / ".join(_yes(row.get(stage)) for stage in ("resumed_under_force", "resumed_after_cut"))
    yield f"{sum(row.get(stage, {}).get('seconds', 0.0) for stage in STAGES):.0f}"


def _figure(stage: Row | None) -> str:
    if stage is None:
        return "-"
    return f"{stage['metric']:.3g}" if "metric" in stage else "no"


def _yes(stage: Row | None) -> str:
    if stage is None:
        return "-"
    return "yes" if "failure" not in stage and _same(stage) else "no"


def _tested(row: Row) -> str:
    """Say whether the pruned file is tested by the call that tests the dense one; some files are read with a word."""
    plain, dense = (row.get(stage, {}).get("plain", True) for stage in ("tested", "dense_tested"))
    return _yes(row.get("tested")) if plain else "no" if dense else "as dense"


def _same(stage: Row) -> bool:
    return bool(stage.get("difference", 0.0) <= SAME * max(1.0, abs(stage.get("metric", 1.0))))


def _version(row: Row) -> str:
    library = REQUIREMENTS[row["client"]]
    names = [one for one in library if _plain(row["client"]) in _plain(one)]
    return ", ".join(names or library[:1])


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
