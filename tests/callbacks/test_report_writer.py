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
    assert "python" in report.command
    assert "report.html" in caplog.text
    assert {path.name for path in run.folder.iterdir()} >= FILES
    # What the logger still had in memory is on the page.
    assert run.curves["val_loss"].keys() == {0, 1}
    assert "val_loss" in (run.folder / "report.html").read_text()


def test_an_earlier_report_is_put_aside(fitted, tmp_path):
    first = fitted(logger=False, default_root_dir=tmp_path)
    fitted(logger=False, default_root_dir=tmp_path)
    assert PruningReport.from_json((tmp_path / "report-1.json").read_text()) == first
    assert {path.name for path in tmp_path.glob("report*")} == FILES | {path.replace(".", "-1.") for path in FILES}


def test_without_matplotlib_the_log_says_what_is_missing(fitted, tmp_path, caplog, monkeypatch):
    def missing():
        raise ModuleNotFoundError("pictures need matplotlib: pip install 'physprune_pl[experiments]'")

    monkeypatch.setattr(plots, "library", missing)
    fitted()
    assert "no report.html: pictures need matplotlib" in caplog.text
    assert f"python -m physprune_pl report {tmp_path / 'logs'}" in caplog.text
    assert {path.name for path in (tmp_path / "logs").glob("report*")} == {"report.json", "report.md"}


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
