"""The page of results: it says what the committed figures say."""

import pytest

from experiments.bench.committed_results import DATA_SETS, FOLDER
from experiments.page import README, filled, points, tables


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
    costs = {"macs": {"dense": 4, "pruned": 1}, "latency_ms": {"batch_32": {"dense": 2.0, "pruned": 1.0}}}
    found = [
        {"arm": arm, "seed": 0, **costs, "metric": {"after_finetune": score}}
        for arm, score in (("dense", None), ("uniform", 0.5))
    ]
    (point,) = points(found)
    assert (point.name, list(point.scores)) == ("uniform", [0.5])
    assert point.costs == {"MACs kept": [0.25], "time taken, batches of 32": [0.5]}
