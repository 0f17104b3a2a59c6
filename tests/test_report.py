"""The report as JSON, markdown and table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from physprune_pl import report as report_module
from physprune_pl.report import PruningReport

REPORT = PruningReport(
    macs={"dense": 7_920_000, "pruned": 2_376_000},
    params={"dense": 855_482, "pruned": 300_000},
    metric={
        "name": "accuracy",
        "split": "test",
        "dense": None,
        "after_sparsify": 0.99,
        "after_cut": 0.9875,
        "after_finetune": 0.9925,
    },
    groups=[
        {"name": "conv1", "before": 16, "after": 9, "exact": True},
        {"name": "conv2", "before": 32, "after": 32, "exact": False},
    ],
    left_whole=[{"name": "head", "reason": "it is the output"}],
    seconds={"sparsify": 12.34, "finetune": 5.0},
    not_arrived=["conv1"],
    dead_groups=["conv2"],
    file_bytes={"dense": 3_400_000, "pruned": 1_200_000},
    latency_ms={"batch_1": {"dense": 8.0, "pruned": 4.0}, "batch_32": {"dense": 40.0, "pruned": 16.0}},
    command="python train.py",
    versions={"torch": "2.0"},
    seed=3,
)


def test_json_has_the_documented_keys_and_comes_back_equal() -> None:
    data = json.loads(REPORT.to_json())
    documented = {
        *("macs", "params", "file_bytes", "latency_ms", "metric", "groups", "left_whole", "seconds"),
        *("command", "versions", "seed"),
    }
    assert documented <= data.keys()
    assert data["metric"]["dense"] is None
    assert PruningReport.from_json(REPORT.to_json()) == REPORT


@pytest.mark.parametrize("text", ["{}", '{"macs": {}, "flavour": 1}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the fields of a PruningReport"):
        PruningReport.from_json(text)


def test_markdown_tells_everything() -> None:
    page = REPORT.to_markdown()
    for line in [
        "| MACs | 7.92 M | 2.38 M | 3.33x |",
        "| latency, batch 32 | 40.00 ms | 16.00 ms | 2.50x |",
        "| accuracy (test), right after the cut | 0.9875 |",
        "| conv1 | 16 | 9 | yes |",
        "| conv2 | 32 | 32 | no |",
        "| head | it is the output |",
        "| sparsify | 12.3 |",
    ]:
        assert line in page
    assert "dense baseline" not in page
    assert "1 of 2 groups cut, 1 modules left whole." in page
    assert "Not at zero before the cut: conv1." in page
    assert "Dead, their branches could be removed: conv2." in page
    assert "Command: `python train.py`, seed 3." in page


def test_a_report_of_bare_facts_prints_too() -> None:
    bare = PruningReport(macs=REPORT.macs, params=REPORT.params, metric={}, groups=[])
    assert "| MACs |" in bare.to_markdown()
    assert bare.versions["physprune_pl"]
    assert replace(bare, groups=REPORT.groups).table()


@pytest.mark.parametrize("rich", [True, False])
def test_table_with_and_without_rich(rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module.importlib.util, "find_spec", lambda name: object() if rich else None)
    lines = REPORT.table().splitlines()
    assert any("MACs" in line and "7.92 M" in line and "3.33x" in line for line in lines)
    assert any("after fine-tuning" in line and "0.9925" in line for line in lines)
    assert ("┃" in "".join(lines)) == rich


def test_save_writes_both_files(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "new")
    assert PruningReport.from_json((tmp_path / "new" / "report.json").read_text()) == REPORT
    assert (tmp_path / "new" / "report.md").read_text() == REPORT.to_markdown()
