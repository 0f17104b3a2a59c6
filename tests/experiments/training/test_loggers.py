"""The logger of a resumed run keeps the rows of the old one."""

from pathlib import Path

import pytest

from experiments.training.loggers import KeepingCSVLogger


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_second_run_in_the_folder_loses_no_rows(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        logger = KeepingCSVLogger(tmp_path, name=None, version="logs")
        logger.log_metrics({"loss": loss}, step=0)
        logger.finalize("success")
    assert "1.0" in (tmp_path / "logs" / "metrics-1.csv").read_text()
    assert "2.0" in (tmp_path / "logs" / "metrics.csv").read_text()
