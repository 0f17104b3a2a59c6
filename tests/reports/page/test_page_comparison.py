"""Several runs side by side."""

from pathlib import Path

import pytest
from run_folders import bare_folder, report, run_folder
from test_page_report import Outline

from physprune_pl.commands import main
from physprune_pl.reports.page import Comparison, write_comparison, write_report
from physprune_pl.reports.page.seed_means import seed_rows


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A good dear one, a worse cheap one, and one that the first beats, without latency."""
    half = {"macs": {"dense": 100, "pruned": 50}, "command": "python train.py force=gravity seed=1"}
    third = {"macs": {"dense": 100, "pruned": 30}, "command": "python train.py force=uniform seed=1"}
    worse = {**half, "command": "python train.py force=torque seed=1", "latency_ms": {}}
    scores = [{**report().metric, "dense": None, "after_finetune": score} for score in (0.9, 0.8, 0.7)]
    return [
        run_folder(tmp_path / "sweep" / name, **changes, metric=score)
        for name, changes, score in zip("012", (half, third, worse), scores, strict=True)
    ]


def test_the_table_and_the_front(runs: list[Path]) -> None:
    comparison = Comparison.of(runs)
    rows = comparison.rows()
    assert [(*row[:2], row[3]) for row in rows] == [("A", "0", "50.0%"), ("B", "1", "30.0%"), ("C", "2", "50.0%")]
    assert {row[2] for row in rows} == {"gravity"}
    assert comparison.rows()[0][5:] == ("4 ms", "2.00x", "-", "98.75 %", "90.00 %", "0.3")
    assert comparison.rows()[2][5:7] == ("-", "-")
    assert comparison.best() == ["A", "B"]
    assert [point.place for point in comparison.points("batch_32")] == [(16.0, 0.9), (16.0, 0.8)]
    assert comparison.settings == ("python train.py seed=1", ["force=gravity", "force=uniform", "force=torque"])


def test_dense_networks_are_points_of_their_own(tmp_path: Path) -> None:
    dense = bare_folder(tmp_path / "dense", metric={**report().metric, "dense": 0.99})
    comparison = Comparison.of([run_folder(tmp_path / "cut"), dense])
    assert [(one.label, one.dense) for one in comparison.points("macs")] == [
        ("", True),
        ("A", False),
        ("B", True),
    ]
    assert comparison.best() == ["A"]


def test_the_page_shows_table_fronts_and_settings(runs: list[Path], tmp_path: Path) -> None:
    page = Outline(write_comparison(Comparison.of(runs), tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "3 runs by accuracy (test), higher is better." in page.text
    assert "B ★ 1 gravity 30.0%" in page.text
    assert "C 2 gravity 50.0%" in page.text
    assert "force=torque" in page.text
    fronts = [alt.split(". ")[-1] for alt in page.alternatives]
    assert fronts == ["On the Pareto front: A, B.", "On the Pareto front: A.", "On the Pareto front: A."]


def test_a_run_with_a_page_of_its_own_is_linked_to_it(runs: list[Path], tmp_path: Path) -> None:
    write_report(runs[1])
    comparison = Comparison.of(runs)
    text = write_comparison(comparison, tmp_path / "pages" / "page.html").read_text(encoding="utf-8")
    assert [one for one in Outline(text).addresses if one[0] not in "#d"] == ["../sweep/1/report.html"]
    assert (tmp_path / "pages" / "../sweep/1/report.html").is_file()
    assert '<a href="../sweep/1/report.html">1</a>' in text


def test_runs_that_differ_by_their_seed_alone_have_means(runs: list[Path], tmp_path: Path) -> None:
    assert seed_rows(dict(zip("ABC", Comparison.of(runs).reports.values(), strict=True))) == []
    words = "python train.py force=gravity seed="
    again = run_folder(
        *(tmp_path / "again",), seed=4, command=f"{words}4", metric={**report().metric, "after_finetune": 0.92}
    )
    first = run_folder(tmp_path / "first", command=f"{words}3", metric={**report().metric, "after_finetune": 0.9})
    reports = dict(zip("ABC", Comparison.of([first, again, runs[1]]).reports.values(), strict=True))
    both, other = seed_rows(reports)
    settings = "target 30 % of the MACs, 12 + 5 epochs"
    assert both == ("gravity", settings, "A B", "3, 4", "30.0%", "2.00x", "91.00 %", "1.41 %")
    assert other[2:4] == ("C", "3")
    page = Outline(write_comparison(Comparison.of([first, again]), tmp_path / "page.html").read_text("utf-8"))
    assert "Means over the seeds" in page.text
    assert " ".join(("gravity", settings, "A B", "3, 4")) in page.text


def test_what_nobody_measured_is_said(tmp_path: Path) -> None:
    path = write_comparison(Comparison.of([bare_folder(tmp_path / "run")]), tmp_path / "page.html")
    text = Outline(path.read_text(encoding="utf-8")).text
    assert "No run has a value of its metric." in text
    assert "No run measured its latency." in text


def test_a_lower_loss_is_better(runs: list[Path]) -> None:
    assert Comparison.of(runs, "min").best() == ["B", "C"]


def test_what_cannot_be_compared_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder: expected one with the report\.json of a run"):
        Comparison.of([*runs, tmp_path])
    other = run_folder(tmp_path / "other", metric={"name": "loss", "split": "val", "after_cut": 0.5})
    with pytest.raises(ValueError, match=r"one metric to compare, got \['accuracy \(test\)', 'loss \(val\)'\]"):
        Comparison.of([runs[0], other])
    with pytest.raises(ValueError, match="expected some with one metric"):
        Comparison.of([])


# --- the commands ---------------------------------------------------------------------------------------------------


def test_compare_prints_the_table_and_writes_the_page(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("compare", *map(str, runs), "--out", str(tmp_path / "page.html"))) == 0
    text = capsys.readouterr().out
    assert [line.split()[0:2] for line in text.splitlines()[2:5]] == [["A", "*"], ["B", "*"], ["C", "2"]]
    assert f"Page written to {tmp_path / 'page.html'}." in text
    assert (tmp_path / "page.html").exists()


def test_report_prints_the_costs_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("report", str(run_folder(tmp_path)))) == 0
    text = capsys.readouterr().out
    assert "MACs" in text
    assert "3.33x" in text
    before = (tmp_path / "report.json").read_text()
    assert main(("report", str(tmp_path), "--baseline", "0.5")) == 0
    assert "before: 50.00 % dense baseline" in Outline((tmp_path / "report.html").read_text()).text
    assert main(("report", str(tmp_path), "--baseline", str(tmp_path))) == 0
    assert main(("report", str(tmp_path), "--baseline", "nowhere")) == 2
    assert "baseline: expected the metric of the dense network" in capsys.readouterr().err
    assert (tmp_path / "report.json").read_text() == before.replace("0.99,", "0.5,", 1)
    assert (tmp_path / "report.html").exists()
    assert main(("report", str(tmp_path / "nowhere"))) == 2
    assert capsys.readouterr().err.startswith("error: folder: expected one with the report.json")
