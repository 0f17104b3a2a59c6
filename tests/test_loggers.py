"""The logger of a resumed run keeps the rows of the old one."""

from pathlib import Path

import pytest

from experiments.loggers import KeepingCSVLogger, put_aside


def test_an_existing_file_gets_the_first_free_name(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    put_aside(path)
    for content in ("a", "b"):
        path.write_text(content)
        put_aside(path)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"metrics-1.csv": "a", "metrics-2.csv": "b"}


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_second_run_in_the_folder_loses_no_rows(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        logger = KeepingCSVLogger(tmp_path, name=None, version="logs")
        logger.log_metrics({"loss": loss}, step=0)
        logger.finalize("success")
    assert "1.0" in (tmp_path / "logs" / "metrics-1.csv").read_text()
    assert "2.0" in (tmp_path / "logs" / "metrics.csv").read_text()
