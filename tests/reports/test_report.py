"""The report as JSON, markdown and table, and the command that it names."""

import json
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
from reported import REPORT

from physprune_pl.reports import tables
from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.reports.report import PruningReport, command_line


def test_json_has_the_documented_keys_and_comes_back_equal() -> None:
    data = json.loads(REPORT.to_json())
    documented = {
        *("macs", "params", "file_bytes", "latency_ms", "metric", "groups", "left_whole", "seconds"),
        *("peak_memory_bytes", "memory_kind", "command", "versions", "seed"),
    }
    assert documented <= data.keys()
    assert data["metric"]["dense"] is None
    assert PruningReport.from_json(REPORT.to_json()) == REPORT


@pytest.mark.parametrize("text", ["{}", '{"macs": {}, "flavour": 1}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the fields of a PruningReport"):
        PruningReport.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "macs: 1"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="text: expected the JSON of a PruningReport, got"):
        PruningReport.from_json(text)


def test_markdown_tells_everything() -> None:
    page = REPORT.to_markdown()
    for line in [
        "| MACs | 7.92 M | 2.38 M | 3.33x fewer (30 % kept) |",
        "| latency, batch 32 | 40.00 ms | 16.00 ms | 2.50x faster (40 % kept) |",
        "| accuracy (test), right after the cut | 0.9875 |",
        "| conv1 | 16 | 9 | yes |",
        "| conv2 | 32 | 32 | no |",
        "| accuracy (test), recalibrated after the cut | 0.9750 |",
        "| it is in ignore | 7 | norm0, norm1, norm2, norm3, norm4, norm5, norm6 |",
        "| it is the output | 1 | head |",
        "| trace | 0.5 | 3 % | - |",
        "| sparsify | 12.3 | 69 % | 1.23 GB |",
        "| finetune | 5.0 | 28 % | 950.00 MB |",
        "| all | 17.8 | 100 % | - |",
        "seed 3: 3.33x fewer MACs (30 % kept), 2.00x faster (batch 1), 2.50x faster (batch 32), "
        "accuracy (test) 99.00 % after the sparsify phase → 99.25 % after fine-tuning.",
        "Peak memory: the most that was allocated on the GPU in the phase.",
        "| torch | 2.0 |",
        "    python train.py 'seed=1|2'",
    ]:
        assert line in page
    assert "dense baseline" not in page
    assert page.index("it is in ignore") < page.index("it is the output")
    assert "1 of 2 groups cut, 8 modules not pruned." in page
    assert "Not at zero before the cut: conv1." in page
    assert "Dead, their branches could be removed: conv2." in page
    assert "Command, seed 3:" in page
    assert "Training cost over that of as many dense epochs, by MACs: 0.73." in page
    assert "Training cost over that of as many dense epochs, by time: 0.94." in page


def test_a_report_of_bare_facts_prints_too() -> None:
    bare = PruningReport(macs=REPORT.macs, params=REPORT.params, metric={}, groups=[])
    assert "| MACs |" in bare.to_markdown()
    assert bare.versions["physprune_pl"]
    assert replace(bare, groups=REPORT.groups).table()


@pytest.mark.parametrize("rich", [True, False])
def test_table_with_and_without_rich(rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda name: object() if rich else None)
    lines = REPORT.table().splitlines()
    assert any("MACs" in line and "7.92 M" in line and "3.33x fewer" in line for line in lines)
    assert any("after fine-tuning" in line and "0.9925" in line for line in lines)
    assert any("recalibrated after the cut" in line and "0.9750" in line for line in lines)
    assert any("sparsify" in line and "12.3" in line and "1.23 GB" in line for line in lines)
    assert "Not pruned: norm0, norm1, norm2, norm3, norm4 and 2 more: it is in ignore." in lines
    assert "Not pruned: head: it is the output." in lines
    assert "    python train.py 'seed=1|2'" in lines
    assert "Versions: torch 2.0." in lines
    assert ("┃" in "".join(lines)) == rich


def test_save_writes_both_files(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "new")
    assert PruningReport.from_json((tmp_path / "new" / "report.json").read_text()) == REPORT
    assert (tmp_path / "new" / "report.md").read_text() == REPORT.to_markdown()


def test_reports_from_before_a_field_existed_still_read() -> None:
    data = json.loads(REPORT.to_json())
    for name in ("peak_memory_bytes", "memory_kind"):
        del data[name]
    del data["metric"]["after_recalibration"]
    old = PruningReport.from_json(json.dumps(data))
    assert (old.peak_memory_bytes, old.memory_kind) == ({}, "")
    assert "Peak memory" not in old.to_markdown()
    assert "recalibration" not in old.table()
    assert "| sparsify | 12.3 | 69 % | - |" in old.to_markdown()


def test_phases_are_told_in_the_order_of_a_run() -> None:
    assert list(PHASES) == ["dense", "after_sparsify", "after_cut", "after_recalibration", "after_finetune"]


def test_memory_of_the_process_is_named_as_such() -> None:
    page = replace(REPORT, memory_kind="process").to_markdown()
    assert "the whole process had resident since its start" in page


def test_the_command_is_quoted_for_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=1", "force=[a b]"])
    assert command_line() == "python train.py seed=1 'force=[a b]'"


@pytest.mark.parametrize("name", ["experiments.digits.run", "tool.__main__"])
def test_a_module_is_named_as_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = types.SimpleNamespace(name=name, origin="/there/run.py")
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(__spec__=spec))
    monkeypatch.setattr(sys, "argv", ["/there/run.py", "--seeds", "0"])
    assert command_line() == f"python -m {name.removesuffix('.__main__')} --seeds 0"
    # A worker of a launcher takes over the arguments of the program that started it.
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=0"])
    assert command_line() == "python train.py seed=0"


@pytest.mark.slow
def test_the_command_of_a_real_program(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "run.py").write_text(
        "from physprune_pl.reports.report import command_line\nprint(command_line())\n"
    )
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "own.run", "a b"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "python -m own.run 'a b'"
