"""Encoders where they are used: accuracy on two files, times of two engines, and the table of both."""

import json

import pytest
import torch
from torch import nn

import physprune_pl.export
from experiments.serving import run
from experiments.training.models.text import text_encoder


@pytest.mark.skipif(any(physprune_pl.export.missing()), reason="onnx or onnxscript is not installed")
@pytest.mark.filterwarnings("ignore")
def test_both_engines_time_every_network_on_the_same_batch():
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    found = {name: nn.Sequential(nn.Embedding(50, width), nn.Linear(width, 2)) for name, width in (("a", 8), ("b", 4))}
    times = run.times(found, torch.randint(50, (2, 6)), rounds=3, seconds=0.0)
    assert list(times) == ["eager", "ONNX Runtime"]
    assert all(
        list(engine) == ["a", "b"] and all(len(one) == 3 for one in engine.values()) for engine in times.values()
    )
    assert all(one > 0 for engine in times.values() for rounds in engine.values() for one in rounds)


def test_accuracies_are_of_both_files(tmp_path):
    folder = tmp_path / "SST-2"
    folder.mkdir()
    rows = [f"word{number % 7} here\t{number % 2}" for number in range(60)]
    for name, lines in (("train.tsv", rows), ("dev.tsv", rows[:4]), ("test-labeled.tsv", rows[:1])):
        (folder / name).write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    found = {"one": text_encoder((8, 20), 2, width=8, heads=2)}
    scores = run.accuracies(found, ["data=sst2", f"data.root={tmp_path}", "data.words=20", "data.length=8"])
    assert {file: 4 * scores[file]["one"] % 1 for file in run.FILES} == dict.fromkeys(run.FILES, 0)
    assert scores["test-labeled.tsv"]["one"] in {0.0, 1.0}


def test_the_table_divides_round_by_round():
    columns = run.HEAD[1 + len(run.FILES) :]
    rows = [
        {"network": name, "accuracy": dict.fromkeys(run.FILES, score), "ms": dict.fromkeys(columns, times)}
        for name, score, times in (("dense", 0.9, [4.0, 8.0, 6.0]), ("exponential", 0.85, [2.0, 2.0, 1.0]))
    ]
    lines = run.table(rows).splitlines()
    assert lines[2].split("|")[1:4] == [" dense ", " 90.00 ", " 90.00 "]
    assert set(lines[3].split("|")[4:-1]) == {" 4.00x "}


def test_the_table_is_that_of_the_stored_results():
    results = json.loads((run.FOLDER / "results.json").read_text())["results"]
    assert results[0]["network"] == "dense"
    assert run.table(results) in (run.FOLDER / "README.md").read_text(), "write it again"
