"""Visits one client and writes its row: ``python -m experiments.clients.single_client NAME FILE [PACKAGE ...]``."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from experiments.clients.doorstep import FINETUNE_EPOCHS, visit

SEED = 0


def main() -> None:
    """Write the row of the client to the file that was asked for, with the versions of its packages."""
    name, path, *packages = sys.argv[1:]
    client = importlib.import_module(f"experiments.clients.libraries.{name}").client()
    row = {"client": name, "seed": SEED, "metric": client.metric, "mode": client.mode, "target": dict([client.target])}
    row |= {"epochs": [client.epochs, FINETUNE_EPOCHS]}
    row |= {"what": client.what, "style": client.style, "packages": {one: version(one) for one in packages}}
    with tempfile.TemporaryDirectory() as folder:
        row |= visit(client, SEED, Path(folder))
    Path(path).write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
