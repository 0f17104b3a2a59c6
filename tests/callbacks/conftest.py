"""What the tests of several callbacks share."""

import pytest
from tiny import hand_made_trace

from physprune_pl.callbacks import session as session_module


@pytest.fixture
def traced_by_hand(monkeypatch):
    """The tiny network is not traced: its groups are written down."""
    monkeypatch.setattr(session_module, "trace", hand_made_trace)
