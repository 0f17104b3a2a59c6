"""The README's tables of the zoo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.zoo.limited_process import GIB
from experiments.zoo.networks import EVERY

AnyRow = Mapping[str, Any]

HEAD = ("network", "input", "groups", "exact", "MACs", "parameters", "error", "trace, plan, cut (s)", "memory")
PEER_HEAD = ("network", "MACs", "parameters", "graph, cut (s)", "memory", "outcome")
TRIP_HEAD = ("network", "MACs, cut freely", "loaded by", "MACs, one width in all layers", "loaded by")
WAYS = ("freely", "same width")
PEERS = {
    "torch-pruning": "Torch-Pruning",
    "torch-kirigami": "torch-kirigami",
    "nvidia-modelopt": "ModelOpt FastNAS",
}
LONGEST = 160


def ok(row: AnyRow) -> bool:
    """Tell whether nothing failed and nothing is wrong."""
    return "failure" not in row and not row["problems"]


def tables(rows: Sequence[AnyRow]) -> str:
    """Return a summary and a table per tool, then the reasons for which modules are not pruned and the notes."""
    ours = [row for row in rows if row["tool"] == "physprune_pl"]
    parts = ["## physprune_pl", _summary(ours), _table((*HEAD, "whole", "outcome", "at 25 %"), map(_our_cells, ours))]
    parts += ["### What stayed whole", _reasons(ours), "### Networks that are not as their library builds them"]
    parts += [_notes(ours)]
    for tool, title in PEERS.items():
        if peers := [row for row in rows if row["tool"] == tool]:
            parts += [f"## {title}", _tried(peers), _table(PEER_HEAD, map(_peer_cells, peers))]
    if loaded := [row for row in rows if row["tool"] == "round trip"]:
        parts += ["## Saved and loaded by transformers", _trips(loaded), _table(TRIP_HEAD, map(_trip_cells, loaded))]
    if snapshots := [row for row in rows if row["tool"] == "snapshot"]:
        changed = [f"- {row['network']}: {_outcome(row)}" for row in snapshots if not ok(row)]
        parts += ["## Left as they were", f"{_count(snapshots)}", *(["\n".join(changed)] if changed else [])]
    return "\n\n".join(parts) + "\n"


def _summary(rows: Sequence[AnyRow]) -> str:
    missing = [name for name in EVERY if name not in {row["network"] for row in rows}]
    tried = [row["quarter"] for row in rows if "quarter" in row]
    words = f"{_count(rows)} At a quarter of the MACs {sum(map(ok, tried))} of {len(tried)}." if tried else _count(rows)
    return f"{words} Not run yet: {', '.join(missing)}." if missing else words


def _count(rows: Sequence[AnyRow]) -> str:
    return f"{sum(map(ok, rows))} of {len(rows)} networks are ok."


def _tried(rows: Sequence[AnyRow]) -> str:
    missing = len(EVERY) - len(rows)
    return f"{_count(rows)} The other {missing} were not run." if missing else _count(rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _our_cells(row: AnyRow) -> list[str]:
    error = f"{max(row['error'].values()):.0e}" if "error" in row else "-"
    whole = str(sum(map(len, row["left_whole"].values()))) if "left_whole" in row else "-"
    seconds = _seconds(row, ("trace_seconds", "plan_seconds", "cut_seconds"))
    counts = [str(row.get(key, "-")) for key in ("groups", "exact_groups")]
    return [
        row["network"],
        row["size"],
        *counts,
        *_costs(row),
        error,
        seconds,
        _memory(row),
        whole,
        _outcome(row),
        _quarter(row),
    ]


def _peer_cells(row: AnyRow) -> list[str]:
    return [row["network"], *_costs(row), _seconds(row, ("trace_seconds", "cut_seconds")), _memory(row), _outcome(row)]


def _trips(rows: Sequence[AnyRow]) -> str:
    done = [row for row in rows if "failure" not in row]
    right = sum(not row[way]["problems"] for row in done for way in WAYS)
    return f"{right} of {len(rows) * len(WAYS)} cut networks put out the same, bit for bit, once saved and loaded."


def _trip_cells(row: AnyRow) -> list[str]:
    return [row["network"], *(cell for way in WAYS for cell in _trip(row, row.get(way)))]


def _trip(row: AnyRow, found: AnyRow | None) -> tuple[str, str]:
    if found is None:
        return "-", _outcome(row)
    if "macs" not in found:
        return "no number in the config can say it", "-"
    return _cost(found["macs"]), _outcome(found) if found["problems"] else _LOADED_BY[found["from_pretrained"]]


_LOADED_BY = {True: "`from_pretrained`", False: "`load_pruned`"}


def _costs(row: AnyRow) -> list[str]:
    return [_cost(row[key]) if key in row else "-" for key in ("macs", "params")]


def _cost(pair: tuple[int, int]) -> str:
    before, after = pair
    return f"{before / 1e6:.2f} M to {after / 1e6:.2f} M ({after / before:.1%})"


def _seconds(row: AnyRow, keys: Sequence[str]) -> str:
    return ", ".join(f"{row[key]:.1f}" if key in row else "-" for key in keys)


def _memory(row: AnyRow) -> str:
    return f"{row['peak_bytes'] / GIB:.1f} GiB" if row.get("peak_bytes") else "-"


def _outcome(row: AnyRow) -> str:
    if ok(row):
        return "ok"
    text = " ".join((row.get("failure") or "; ".join(row["problems"])).split()).replace("|", "/")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _quarter(row: AnyRow) -> str:
    """Return what comes of a cut to a quarter of the MACs."""
    if "quarter" not in row:
        return "-"
    found = row["quarter"]
    return _outcome(found) if found["problems"] else f"ok, {max(found['error'].values()):.0e}"


def _reasons(rows: Iterable[AnyRow]) -> str:
    """Return a table of reasons with, per network, how many modules each one holds back."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for reason, modules in row.get("left_whole", {}).items():
            found[reason].append(f"{row['network']} {len(modules)}")
    return _table(("reason", "modules"), ([reason, ", ".join(names)] for reason, names in found.items()))


def _notes(rows: Iterable[AnyRow]) -> str:
    return "\n".join(f"- {row['network']}: {row['note']}." for row in rows if row["note"])
