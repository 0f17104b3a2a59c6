"""The page of results: it says what the committed figures say."""

import pytest

from experiments.page import DATA_SETS, FOLDER, README, filled, points, tables


def test_the_page_is_what_the_script_makes() -> None:
    text = README.read_text(encoding="utf-8")
    assert filled(text, tables()) == text
    for name in DATA_SETS:
        assert f"({name}/pareto.png)" in text
        assert (FOLDER / name / "pareto.png").is_file()


def test_marks_without_a_table_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"expected the marks of the tables \['a'\], got \['b'\]"):
        filled("<!-- table b -->\n<!-- end of table -->\n", {"a": "x"})
    assert filled("<!-- table a -->\nold\n<!-- end of table -->\n", {"a": "x\n"}).count("x") == 1


def test_points_are_what_was_cut() -> None:
    found = [
        {"arm": arm, "seed": 0, "macs": {"dense": 4, "pruned": 1}, "metric": {"after_finetune": score}}
        for arm, score in (("dense", None), ("uniform", 0.5))
    ]
    (point,) = points(found)
    assert (point.name, list(point.costs), list(point.scores)) == ("uniform", [0.25], [0.5])
