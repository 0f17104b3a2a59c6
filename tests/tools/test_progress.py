"""Progress is seen by a person only, and changes nothing of what is done."""

import io
import sys

import pytest

from physprune_pl.tools import progress
from physprune_pl.tools.progress import show_steps, steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Take the place of the error stream; not in a fixture, since pytest puts its own there before the test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_nothing_is_written_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    assert list(steps("tracing", range(3))) == [0, 1, 2]
    assert terminal.getvalue() == ""


def test_nothing_is_written_into_a_file_or_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with show_steps():
        assert list(steps("tracing", range(3))) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_rich_draws_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    pytest.importorskip("rich", reason="rich (extra experiments) draws the bar")
    with show_steps():
        assert list(steps("tracing", range(3))) == [0, 1, 2]
    assert "tracing" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_without_rich_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    with show_steps():
        assert list(steps("tracing", range(40))) == list(range(40))
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "tracing: 4 of 40"
    assert lines[-1] == "tracing: 40 of 40"
    assert len(lines) == 10
    assert "\x1b" not in terminal.getvalue()


def test_a_display_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with pytest.raises(ZeroDivisionError), show_steps():
        1 / 0  # noqa: B018
    list(steps("tracing", range(3)))
    assert terminal.getvalue() == ""


def test_a_step_that_is_given_up_leaves_the_next_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with show_steps():
        assert all(number < 1 for number in steps("one", range(3))) is False
        assert list(steps("other", range(2))) == [0, 1]
    assert "other" in terminal.getvalue()
