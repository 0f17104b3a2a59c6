"""The file of times: plain JSON, where the user wants it, shared by all who measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from physprune_pl.latency.cache import LatencyCache, default_path
from physprune_pl.latency.hardware import device_name, processor


def test_pages_are_kept_by_device_and_added_to(tmp_path):
    path = tmp_path / "folder" / "times.json"
    LatencyCache(path).keep("cpu", {"layers": {"a": 1}})
    LatencyCache(path).keep("gpu", {"layers": {"a": 2}})
    LatencyCache(path).keep("cpu", {"layers": {"b": 3}, "round_to": {"multiple": 8}})
    assert LatencyCache(path).page("cpu") == {"layers": {"a": 1, "b": 3}, "round_to": {"multiple": 8}}
    assert LatencyCache(path).page("gpu") == {"layers": {"a": 2}}
    assert LatencyCache(path).page("tpu") == {}
    assert json.loads(path.read_text())["format"] == 1


@pytest.mark.parametrize("text", ["no json", "[]", '{"format": 2, "devices": {}}', '{"format": 1}'])
def test_a_file_of_another_kind_is_named(tmp_path, text):
    path = tmp_path / "times.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"times.json: expected .*; delete the file"):
        LatencyCache(path).page("cpu")


def test_a_page_of_another_kind_is_named(tmp_path):
    path = tmp_path / "times.json"
    path.write_text('{"format": 1, "devices": {"cpu": {"layers": []}}}')
    with pytest.raises(ValueError, match="times of a device by sort"):
        LatencyCache(path).page("cpu")


def test_the_file_stands_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PHYSPRUNE_LATENCY", str(tmp_path / "mine.json"))
    assert default_path() == tmp_path / "mine.json"
    monkeypatch.delenv("PHYSPRUNE_LATENCY")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "physprune_pl" / "latency.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_path() == Path.home() / ".cache" / "physprune_pl" / "latency.json"


def test_a_device_is_named_by_all_that_changes_its_times():
    name = device_name(torch.device("cpu"), torch.bfloat16)
    assert processor() in name
    assert f"threads: {torch.get_num_threads()}" in name
    assert "bfloat16" in name
    assert torch.__version__ in name
