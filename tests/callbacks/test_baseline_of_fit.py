"""The report and the page of a fit show what the dense network reaches, where the user says it."""

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from small import HALF, cutter, fit

from physprune_pl import physics_pruning
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.reports.page import write_report
from physprune_pl.reports.report import PruningReport

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def saved(folder, name, dense):
    costs = {"dense": 10, "pruned": 5}
    PruningReport(costs, costs, {"name": name, "split": "val", "dense": dense}, []).save(folder)
    return folder


def test_the_report_has_the_metric_that_was_given(tmp_path):
    cut = cutter(baseline=0.25)
    fit(cut)
    assert cut.report.metric["dense"] == 0.25
    assert cut.report.metric["after_finetune"] not in (None, 0.25)
    cut.report.save(tmp_path)
    assert "25.00 % dense baseline" in " ".join(write_report(tmp_path).read_text().split())


def test_the_report_has_that_of_another_report(tmp_path):
    cut = cutter(baseline=saved(tmp_path, "val_loss", 0.5))
    fit(cut, ModelCheckpoint(tmp_path / "files", monitor="val_loss"))
    assert (cut.report.metric["name"], cut.report.metric["dense"]) == ("val_loss", 0.5)


def test_another_metric_is_refused_before_training_where_the_monitor_is_known(tmp_path):
    cut = cutter(baseline=saved(tmp_path, "val_acc", 0.5))
    with pytest.raises(ValueError, match=r"'val_loss \(val\)' of this fit, got one with 'val_acc \(val\)'"):
        fit(cut, ModelCheckpoint(tmp_path / "files", monitor="val_loss"))
    assert cut.report is None


def test_without_a_monitor_the_fit_is_not_lost(tmp_path):
    cut = cutter(baseline=saved(tmp_path, "f1", 0.5))
    with pytest.warns(UserWarning, match=r"got one with 'f1 \(val\)'.*the report has no dense metric"):
        fit(cut)
    assert cut.report.metric["dense"] is None


def test_nothing_is_known_unless_it_is_given():
    cut = cutter()
    fit(cut)
    assert cut.report.metric["dense"] is None


def test_what_cannot_be_a_metric_is_refused_at_once():
    for make in (PruneAndFinetune, lambda target, baseline: physics_pruning(target=target, baseline=baseline)):
        with pytest.raises(TypeError, match="baseline: expected the metric of the dense network"):
            make(HALF, baseline=[1])
