"""A run that is killed again and again ends as the uninterrupted one, bit for bit."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.reliability.killed_runs import at_batch, differences, left, started
from experiments.reliability.processes import warmed_up


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """What an uninterrupted run leaves, and how many seconds it took."""
    warmed_up()
    folder, start = tmp_path_factory.mktemp("whole"), time.monotonic()
    process = started(folder)
    process.join()
    assert process.exitcode == 0
    return left(folder), time.monotonic() - start


def test_three_kills(whole: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    # In the second epoch under the force, in the middle of writing a checkpoint, and in fine-tuning.
    for overrides, writing in ((at_batch(1, 3), None), ((), 1), (at_batch(3, 2), None)):
        process = started(tmp_path, *overrides, writing=writing)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    for _ in range(2):
        # The second time nothing is left to train: only the report is written.
        process = started(tmp_path)
        process.join()
        assert process.exitcode == 0
        assert differences(whole[0], left(tmp_path)) == []
        (tmp_path / "report.json").unlink()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_a_random_moment(seed: int, whole: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    process = started(tmp_path)
    process.join(random.Random(seed).uniform(0.0, whole[1]))
    process.kill()
    process.join()
    process = started(tmp_path)
    process.join()
    assert process.exitcode == 0
    assert differences(whole[0], left(tmp_path)) == []
