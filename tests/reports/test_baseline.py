"""What a user may give as the metric of the dense network, and what is refused, and why."""

import json
import math
from pathlib import Path

import pytest

from physprune_pl.reports.baseline import DenseMetric
from physprune_pl.reports.report import PruningReport

COSTS = {"dense": 10, "pruned": 5}


def report_in(folder, **metric):
    PruningReport(COSTS, COSTS, metric, []).save(folder)
    return folder / "report.json"


def test_a_number_is_of_any_metric():
    dense = DenseMetric.of(1)
    assert dense == DenseMetric(1.0)
    dense.check("val_loss")


@pytest.mark.parametrize("given", [str, Path, lambda path: path.parent])
def test_a_report_tells_its_dense_metric(tmp_path, given):
    path = report_in(tmp_path, name="val_acc", split="val", dense=0.9, after_finetune=0.8)
    dense = DenseMetric.of(given(path))
    assert dense == DenseMetric(0.9, "val_acc (val)")
    dense.check("val_acc")
    with pytest.raises(
        ValueError, match=r"metric 'val_loss \(val\)' of this fit, got one with 'val_acc \(val\)'; give"
    ):
        dense.check("val_loss")


def test_a_metric_of_test_data_is_none_of_validation(tmp_path):
    dense = DenseMetric.of(report_in(tmp_path, name="acc", split="test", dense=0.9))
    with pytest.raises(ValueError, match=r"got one with 'acc \(test\)'"):
        dense.check("acc")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (True, TypeError, "the metric of the dense network, or the path of .* got True"),
        ([0.9], TypeError, r"got \[0.9\]"),
        (math.nan, ValueError, "a finite number, got nan"),
        ("no_such_folder/report.json", FileNotFoundError, "no file 'no_such_folder/report.json'"),
    ],
)
def test_what_is_neither_is_refused(given, error, message):
    with pytest.raises(error, match=f"^baseline: expected .*{message}"):
        DenseMetric.of(given)


@pytest.mark.parametrize(
    ("text", "message"),
    [("no JSON", "expected the report.json of a run"), (json.dumps({"a": 1}), "expected the report.json of a run")],
)
def test_another_file_is_refused(tmp_path, text, message):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^baseline: {message}"):
        DenseMetric.of(path)


def test_a_report_without_a_dense_metric_is_refused(tmp_path):
    path = report_in(tmp_path, name="val_acc", dense=None)
    with pytest.raises(ValueError, match=r"a report whose metric has 'dense', got .*; give the metric as a number"):
        DenseMetric.of(path)
