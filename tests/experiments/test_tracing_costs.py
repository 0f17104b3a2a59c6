"""The table of what tracing costs is that of the committed results, and the script measures a real trace."""

import json
import math

import pytest

from experiments.tracing import decoder, depth, one_trace, run


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


def test_the_table_of_depth_is_that_of_its_results():
    rows = json.loads(depth.RESULTS.read_text())["results"]
    assert [row["network"] for row in rows] == list(one_trace.NETWORKS)
    assert depth.table(rows) in (depth.FOLDER / "README.md").read_text()


def test_a_build_is_measured_in_a_process_of_its_own():
    found = depth.traced("resnet20", depth.FOLDER.parents[1])
    assert found["groups"] == 12
    assert found["processor_seconds"] > 0


def test_growth_is_per_doubling():
    rows = [{"network": "resnet56", "processor_seconds": 1.0}, {"network": "resnet218", "processor_seconds": 4.0}]
    assert depth.growth(rows) == pytest.approx(4.0 ** (1 / math.log2(218 / 56)))
    assert depth.growth(rows[:1]) is None


def test_the_table_of_the_decoder_is_that_of_its_results():
    (row,) = json.loads((decoder.FOLDER / "decoder.json").read_text())["results"]
    assert row["config"] == decoder.CONFIG
    assert decoder.table(row) in (decoder.FOLDER / "README.md").read_text()


def test_a_decoder_is_traced_cut_and_run():
    pytest.importorskip("transformers")
    small = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96}
    with pytest.warns(UserWarning, match="has no numbers for the widths"):
        row = decoder.measured({**decoder.CONFIG, **small, "num_attention_heads": 4, "num_key_value_heads": 2})
    assert row["groups"] == 5
    assert row["macs"][1] <= 0.51 * row["macs"][0]
    assert [*row["steps"]] == ["build", "trace", "plan", "cut", "run"]
    assert "0.00 billion parameters" in decoder.table(row)
