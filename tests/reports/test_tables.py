"""Tables as text."""

import pytest

from physprune_pl.reports import tables
from physprune_pl.reports.tables import markdown, terminal
from physprune_pl.tools.plain_tables import short

HEAD = ("name", "size")


def test_a_cell_cannot_break_a_markdown_table() -> None:
    lines = markdown(HEAD, [("a|b", "1\n2")]).splitlines()
    assert lines == ["| name | size |", "|---|---|", r"| a\|b | 1 2 |"]


def test_no_rows_make_no_table() -> None:
    assert markdown(HEAD, []) == terminal("Sizes", HEAD, []) == ""


@pytest.mark.parametrize("rich", [True, False])
def test_a_table_for_a_terminal(rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda name: object() if rich else None)
    lines = terminal("Sizes", HEAD, [("conv [bold]", "16"), ("head", "2")]).splitlines()
    assert lines[0].strip() == "Sizes"
    assert any("conv [bold]" in line and "16" in line for line in lines)
    assert not any(line != line.rstrip() for line in lines) or rich


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1000, "1.00 k"), (2_376_000, "2.38 M"), (4.1e9, "4.10 G")]
)
def test_figures_are_short(value: float, text: str) -> None:
    assert short(value) == text
