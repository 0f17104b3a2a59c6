"""Runs every client, each in the environment of its library: ``python -m experiments.clients.run [NAME ...]``.

``--environments FOLDER`` holds a virtual environment a client; ``--install`` makes those that are missing. A client
that has a row in results.json is not run again unless it is asked for by name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.bench.runs import save, stored, write_table
from experiments.clients.environments import REQUIREMENTS, install, install_line, python_of
from experiments.clients.table import problems, tables

Row = dict[str, Any]

FOLDER = Path(__file__).parent
RESULTS, README = FOLDER / "results.json", FOLDER / "README.md"
ROOT = FOLDER.parents[1]
COMMAND = "python -m experiments.clients.run --install"
SECONDS = 1800


def run(name: str, python: Path, seconds: int = SECONDS) -> Row:
    """Return the row of one client, run by its own Python on one thread in an empty folder.

    A client that cannot even be built has a row with its last words.
    """
    packages = [requirement.split("==")[0] for requirement in REQUIREMENTS[name]]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.json"
        command = [str(python), "-m", "experiments.clients.single_client", name, str(path), *packages]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if path.exists():
            row: Row = json.loads(path.read_text(encoding="utf-8"))
            return row
    return {"client": name, "dense": {"failure": (done.stderr.strip().splitlines() or ["no words"])[-1][:600]}}


def wanted(rows: Sequence[Row], asked: Sequence[str]) -> list[str]:
    """Return the clients to run: those asked for, or all that have no row.

    Raises:
        ValueError: a name is not that of a client.
    """
    if unknown := sorted(set(asked) - set(REQUIREMENTS)):
        raise ValueError(f"NAME: expected clients of {', '.join(REQUIREMENTS)}, got {', '.join(unknown)}")
    done = {row["client"] for row in rows}
    return list(asked) or [name for name in REQUIREMENTS if name not in done]


def ready(name: str, environments: Path, *, make: bool) -> bool:
    """Return whether a client's Python is there, made now if that was asked for; say how to make it if not."""
    if not python_of(name, environments).exists() and make:
        install(name, environments)
    there = python_of(name, environments).exists()
    if not there:
        print(f"{name}: no environment; make it by --install, or by hand:\n  {install_line(name, environments)}")
    return there


def main() -> None:
    """Run what is wanted, store every row at once, and write the tables of the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these, even if they have a row")
    parser.add_argument("--environments", type=Path, default=Path("environments"), help="folder of the environments")
    parser.add_argument("--install", action="store_true", help="make environments that are missing")
    asked = parser.parse_args()
    for name in wanted(stored(RESULTS), asked.names):
        if ready(name, asked.environments.absolute(), make=asked.install):
            row = run(name, python_of(name, asked.environments.absolute()))
            rows = [row, *(one for one in stored(RESULTS) if one["client"] != name)]
            save(sorted(rows, key=lambda one: str(one["client"])), COMMAND, RESULTS)
            print(f"{name}: {problems(row) or 'ok'}", flush=True)
    write_table(README, tables(stored(RESULTS)))


if __name__ == "__main__":
    main()
