"""Fits, cuts and resumes in one process leave nothing behind."""

import pytest

from experiments.reliability.soak import quiet, soak, verdict

# The script runs for 30; here the trend is what matters.
MINUTES = 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_memory_stays_flat_and_nothing_is_left_over() -> None:
    quiet()
    found = verdict(soak(MINUTES))
    assert found["growth_percent"] < 1.0, found
    for name, (first, last) in found["left_over"].items():
        assert first == last, name
    assert found["left_over"]["hooks"] == found["left_over"]["processes"] == [0, 0]
    assert found["left_over"]["temporary_files"] == [0, 0]
