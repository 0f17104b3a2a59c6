"""The speed note: both ways make the same pictures ready, and the table says what was measured."""

from pathlib import Path

import pytest
import torch

from experiments.loading import run
from experiments.loading.run import InMemory, OneByOne, pictures, seconds, summarised, table, ways


def test_all_ways_run_on_random_bytes_and_end_in_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "COUNT", 200)
    monkeypatch.setattr(run, "ROUNDS", 1)
    source, split = pictures(tmp_path)
    rows = summarised(seconds(ways(split)), source)
    assert [row["way"].split()[0] for row in rows] == ["one", "whole", "whole"]
    assert rows[0]["times_as_fast"] == 1
    assert all(row["pictures"] == "random bytes" and len(row["seconds"]) == 1 for row in rows)
    assert table(rows).count("| 200 of random bytes |") == 3


def test_a_row_has_the_medians_over_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "COUNT", 100)
    _, fast = summarised({"slow": [2.0, 4.0, 9.0], "fast": [1.0, 1.0, 2.0]}, "CIFAR-10")
    assert (fast["pictures_per_second"], fast["times_as_fast"]) == (100, 4)


def test_both_ways_scale_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "COUNT", 20)
    data = InMemory(pictures(tmp_path)[1], shift=0, flip=0.0)
    data.setup()
    single = OneByOne(data)
    ours, labels = data.prepare((data.pictures.inputs, data.pictures.labels, 0), augment=True)
    assert torch.allclose(torch.stack([single[index][0] for index in range(20)]), ours, atol=1e-5)
    assert labels.tolist() == single.labels
