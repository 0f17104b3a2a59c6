"""Old objects are out of the collector's sight inside, and in it again afterwards."""

import gc
from collections.abc import Iterator

import pytest

from physprune_pl.tools.garbage import only_new_garbage


@pytest.fixture
def thawed() -> Iterator[None]:
    """Nothing is frozen, and the collector comes by when it is told to alone: its own times differ between Pythons."""
    gc.unfreeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


class Cycle:
    """Keeps itself until the collector comes by, and says when it is gone."""

    gone = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Cycle.gone += 1


@pytest.mark.usefixtures("thawed")
def test_new_garbage_goes_and_old_garbage_waits() -> None:
    gc.collect()
    Cycle.gone = 0
    Cycle()
    with only_new_garbage():
        Cycle()
        gc.collect()
        assert Cycle.gone == 1
    gc.collect()
    assert Cycle.gone == 2


@pytest.mark.usefixtures("thawed")
def test_what_python_freezes_by_itself_is_not_taken_for_somebodys(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze: list[int] = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 375)  # Python 3.12 after every full collection
    monkeypatch.setattr(gc, "freeze", lambda: freeze.append(1))
    with only_new_garbage():
        assert freeze == [1]


@pytest.mark.usefixtures("thawed")
def test_the_collector_comes_by_less_often_inside_and_as_often_as_before_afterwards() -> None:
    before = gc.get_threshold()
    try:
        for given, inside in ((700, 20_000), (50_000, 50_000), (0, 0)):
            gc.set_threshold(given, 10, 10)
            with only_new_garbage():
                assert gc.get_threshold() == (inside, 10, 10)
            assert gc.get_threshold() == (given, 10, 10)
    finally:
        gc.set_threshold(*before)


@pytest.mark.usefixtures("thawed")
def test_an_error_thaws() -> None:
    with pytest.raises(ArithmeticError), only_new_garbage():
        raise ArithmeticError
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("thawed")
def test_what_somebody_has_frozen_stays_frozen() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    with only_new_garbage():
        assert gc.get_freeze_count() > 0.9 * before  # one or the other may have ended meanwhile
    assert gc.get_freeze_count() > 0.9 * before
