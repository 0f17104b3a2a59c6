"""Cuts every network of the zoo, each in its own process: ``python -m experiments.zoo.run [--peer [TOOL]]``.

A finished row is stored at once, and a network that has one is not run again unless it is asked for by name.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from experiments.bench.runs import save, write_table
from experiments.zoo.limited_process import ProcessLimits, Row, run_apart
from experiments.zoo.networks import NETWORKS
from experiments.zoo.ours import cut_and_judge
from experiments.zoo.peer import FastNAS, Kirigami, TorchPruning, cut_by
from experiments.zoo.table import ok, tables

FOLDER = Path(__file__).parent
COMMAND = "python -m experiments.zoo.run; python -m experiments.zoo.run --peer"
TOOLS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "physprune_pl": cut_and_judge,
    "torch-pruning": partial(cut_by, TorchPruning()),
    "torch-kirigami": partial(cut_by, Kirigami()),
    "nvidia-modelopt": partial(cut_by, FastNAS()),
}
OURS, *PEERS = TOOLS
OTHERS = ("round_trip.json", "untouched.json")
"""What other commands store, which the README shows too."""
SHARED = ("torch", "torchvision", "timm", "torch_pruning", "experiments.zoo.ours", "experiments.zoo.peer")


def stored(path: Path) -> list[Row]:
    """Return the rows of a results file, none if there is no such file."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    return rows


def wanted(rows: Sequence[Row], tool: str, only: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the networks to run: those asked for by name, or all that have no row yet.

    Raises:
        ValueError: a name is not that of a network.
    """
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"--only: expected networks of {', '.join(names)}, got {', '.join(unknown)}")
    done = {row["network"] for row in rows if row["tool"] == tool}
    return [name for name in names if name in only or not (only or name in done)]


def replaced(rows: Sequence[Row], new: Row, names: Sequence[str]) -> list[Row]:
    """Return the rows with a new one in the place of the old one, in the order of tools and networks."""
    tools, places = list(TOOLS), {name: place for place, name in enumerate(names)}
    others = [row for row in rows if (row["tool"], row["network"]) != (new["tool"], new["network"])]
    return sorted([*others, new], key=lambda row: (tools.index(row["tool"]), places.get(row["network"], len(places))))


def finished(tool: str, names: Sequence[str], limits: ProcessLimits) -> Iterator[Row]:
    """Yield the row of each network, in a process of its own."""
    for name in names:
        about = {"network": name, "tool": tool, "tool_version": version(tool), "library": NETWORKS[name].source}
        result = run_apart(partial(TOOLS[tool], name), limits, SHARED)
        yield {**about, "size": NETWORKS[name].size, "note": NETWORKS[name].note, **result}


def wrong(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return a line per row that failed or has problems."""
    return [f"{row['network']}: {row.get('failure') or row['problems']}" for row in rows if not ok(row)]


def main() -> None:
    """Run what is missing, write results.json and the tables of the README, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", nargs="?", const=PEERS[0], default=OURS, choices=PEERS, help="cut with this instead")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run these, even if they have a row")
    parser.add_argument("--seconds", type=int, default=ProcessLimits.seconds, help="of processor time, at most")
    asked = parser.parse_args()
    tool, path, names = asked.peer, FOLDER / "results.json", list(NETWORKS)
    rows = stored(path)
    for row in finished(tool, wanted(rows, tool, asked.only, names), ProcessLimits(asked.seconds)):
        rows = replaced(stored(path), row, names)
        save(rows, COMMAND, path)
        print("\n".join(wrong([row])) or f"{row['network']}: ok", flush=True)
    others = [row for name in OTHERS for row in stored(FOLDER / name)]
    write_table(FOLDER / "README.md", tables([*rows, *others]))


if __name__ == "__main__":
    main()
