"""The table of what tracing costs is that of the committed results, and the script measures a real trace."""

import json
import math

from experiments.tracing import run


def test_the_table_is_that_of_the_results():
    rows = json.loads((run.FOLDER / "results.json").read_text())["results"]
    assert [row["network"] for row in rows] == list(run.NETWORKS)
    assert run.table(rows) in (run.FOLDER / "README.md").read_text()


def test_a_trace_is_measured(monkeypatch):
    monkeypatch.setattr(run, "PIXELS", 32)
    monkeypatch.setattr(run.os, "cpu_count", lambda: 1)
    (row,) = run.traced("squeezenet1_1")
    assert row["groups"] == 25
    assert all(math.isfinite(row[name]) and row[name] > 0 for name in ("seconds", "processor_seconds", "peak_bytes"))


def test_a_network_that_failed_says_so_in_the_table():
    assert "| swin_t | stopped |" in run.table([{"network": "swin_t", "failure": "stopped"}])
