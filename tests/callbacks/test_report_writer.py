"""The report of a fit lies in the folder of its logs, whatever a picture fails for."""

import logging

import pytest
from lightning.pytorch.loggers import CSVLogger
from small import Classifier, data, trainer

from physprune_pl.callbacks import ReportWriter, physics_pruning
from physprune_pl.reports import drawing as plots
from physprune_pl.reports.page import read_run
from physprune_pl.reports.report import PruningReport

FILES = {"report.json", "report.md", "report.html"}


@pytest.fixture
def fitted(tmp_path):
    """Fits a network with the callbacks of a whole run; returns report and folder of the logs."""

    def fit(**kwargs):
        callbacks = physics_pruning("uniform", 0.01, target={"macs": 0.5}, finetune_epochs=1)
        runner = trainer(*callbacks, epochs=1, **{"logger": CSVLogger(tmp_path, None, "logs"), **kwargs})
        runner.fit(Classifier(), data(), data())
        return callbacks[-1].report

    return fit


def test_report_and_page_lie_beside_the_logs(fitted, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        report = fitted()
    run = read_run(tmp_path / "logs")
    assert run.report == report
    assert (run.folder, run.name) == (tmp_path / "logs" / "pruning", "logs")
    again = read_run(run.folder)
    assert (again.name, again.report, again.curves) == (run.name, run.report, run.curves)
    assert "python" in report.command
    assert "report.html" in caplog.text
    assert {path.name for path in run.folder.iterdir()} == FILES | {"channels.npz"}
    assert {path.name for path in (tmp_path / "logs").iterdir()} >= {"metrics.csv", "pruning"}
    # What the logger still had in memory is on the page.
    assert run.curves["val_loss"].keys() == {0, 1}
    assert "val_loss" in (run.folder / "report.html").read_text()


def test_a_later_fit_leaves_the_files_of_an_earlier_one(fitted, tmp_path):
    first, second = (fitted(logger=False, default_root_dir=tmp_path / "run") for _ in range(2))
    for name, report in (("pruning", first), ("pruning-1", second)):
        assert {path.name for path in (tmp_path / "run" / name).iterdir()} == FILES | {"channels.npz"}
        assert PruningReport.from_json((tmp_path / "run" / name / "report.json").read_text()) == report
    assert read_run(tmp_path / "run").folder == tmp_path / "run" / "pruning-1"


def test_a_fit_that_fails_at_its_start_leaves_no_folder(tmp_path):
    callbacks = physics_pruning(target={"macs": 0.5}, ignore="nothing")
    with pytest.raises(ValueError, match=r"^ignore"):
        trainer(*callbacks, epochs=1, default_root_dir=tmp_path / "run").fit(Classifier(), data(), data())
    assert list(tmp_path.iterdir()) == []


def test_without_logger_and_folder_the_report_is_in_memory_alone(fitted, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        report = fitted(logger=False, default_root_dir=None)
    assert list(tmp_path.iterdir()) == []
    assert caplog.text.count("neither a logger nor a default_root_dir") == 1
    report.save(tmp_path / "asked")
    assert (tmp_path / "asked" / "report.json").is_file()


def test_without_matplotlib_the_log_says_what_is_missing(fitted, tmp_path, caplog, monkeypatch):
    def missing():
        raise ModuleNotFoundError("pictures need matplotlib: pip install 'physprune_pl[report]'")

    monkeypatch.setattr(plots, "library", missing)
    fitted()
    assert "no report.html: pictures need matplotlib" in caplog.text
    folder = tmp_path / "logs" / "pruning"
    assert f"python -m physprune_pl report {folder}" in caplog.text
    assert {path.name for path in folder.glob("report*")} == {"report.json", "report.md"}


def test_a_dry_run_and_a_fit_that_did_not_cut_leave_nothing(tmp_path):
    writer = ReportWriter(physics_pruning(target={"macs": 0.5})[-1], tmp_path)
    trainer(writer, epochs=1).fit(Classifier(), data(), data())
    assert list(tmp_path.glob("report*")) == []


def test_a_folder_of_ones_own_is_written_anew(tmp_path):
    *others, cut = physics_pruning(None, target={"macs": 0.5}, finetune_epochs=0)
    mine = [ReportWriter(cut, tmp_path / "own") if isinstance(one, ReportWriter) else one for one in others]
    for _ in range(2):
        trainer(*mine, cut, epochs=1).fit(Classifier(), data(), data())
    assert {path.name for path in (tmp_path / "own").iterdir()} == FILES
