"""What the tests of several callbacks share."""

import pytest
from tiny import hand_made_trace

from physprune_pl.callbacks import report_writer
from physprune_pl.callbacks.session import session as session_module


@pytest.fixture
def traced_by_hand(monkeypatch):
    """The tiny network is not traced: its groups are written down."""
    monkeypatch.setattr(session_module, "trace", hand_made_trace)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """What a fit writes beside itself stays out of the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_pages(request, monkeypatch):
    """Drawing the page of a fit takes longer than a tiny fit; test_report_writer.py draws."""
    if request.module.__name__ != "test_report_writer":
        monkeypatch.setattr(report_writer, "write_report", lambda folder: folder)
