"""Visits one client and prints its row as JSON: ``python -m experiments.clients.one NAME FOLDER``, run by run.py."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path

from experiments.clients.doorstep import visit

SEED = 0


def main() -> None:
    """Write the row of the client to the file that was asked for."""
    name, path = sys.argv[1:]
    client = importlib.import_module(f"experiments.clients.libraries.{name}").client()
    with tempfile.TemporaryDirectory() as folder:
        row = {"client": name, "what": client.what, "style": client.style, "metric": client.metric}
        row |= visit(client, SEED, Path(folder))
    Path(path).write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
