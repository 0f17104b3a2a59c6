"""The record of a fit: the memory it keeps through phases and resumes, and the figures it makes of what it has."""

import pytest
import torch
from small import Saver, cutter, fit

from physprune_pl.callbacks.session import record as record_module
from physprune_pl.callbacks.session.record import Record
from physprune_pl.planning import plan_pruning
from physprune_pl.reports.measured_moments import PHASES

CPU = torch.device("cpu")


class Scripted:
    """Peak memory that reads one number after the other and counts its starts."""

    kind = "cuda"

    def __init__(self, device):
        self.device, self.starts = device, 0

    def start(self):
        self.starts += 1

    def read(self):
        return self.peaks.pop(0)


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(record_module, "PeakMemory", Scripted)
    return Scripted


def test_without_a_monitor_the_metric_is_the_first_that_was_logged_and_no_number_of_steps():
    record = Record(metrics={"after_cut": {"epoch": 3.0, "step": 9.0, "val_loss": 0.5, "val_acc": 0.1}})
    assert record.metric_name(None) == "val_acc"
    assert record.metric_name("step") == "step"
    assert Record(metrics={"after_cut": {"epoch": 3.0}}).metric_name(None) is None


def test_the_peak_of_a_phase_is_the_largest_reading(scripted):
    scripted.peaks = [5, 3, 9, 4, 6]
    record = Record()
    record.begin(CPU)
    record.tick()
    record.tick()
    record.finish("sparsify")
    record.finish("cut")
    record.phase = "finetune"
    record.tick()
    assert record.peak_memory_bytes == {"sparsify": 9, "cut": 4, "finetune": 6}
    assert record._memory.starts == 3
    assert set(record.seconds) == {"sparsify", "cut", "finetune"}


def test_a_resume_keeps_the_larger_peak_and_forgets_another_kind(scripted):
    scripted.peaks = [5, 3]
    record = Record()
    record.begin(CPU)
    record.tick()
    saved = record.to_dict()
    again = Record.from_dict(saved)
    again.begin(CPU)
    again.tick()
    assert again.peak_memory_bytes == saved["peak_memory_bytes"] == {"sparsify": 5}
    other = Record.from_dict({**saved, "memory_kind": "process"})
    other.begin(CPU)
    assert other.peak_memory_bytes == {}
    assert other.memory_kind == "cuda"


def test_nothing_is_told_where_nothing_is_counted(scripted):
    scripted.peaks = [None]
    record = Record()
    record.begin(CPU)
    record.tick()
    assert record.peak_memory_bytes == {}


def test_a_fit_reports_the_memory_of_its_phases(tmp_path):
    cut = cutter()
    fit(cut, Saver(tmp_path))
    peaks = cut.report.peak_memory_bytes
    assert list(peaks) == ["sparsify", "cut", "timing", "finetune"]
    assert cut.report.memory_kind == "process"
    assert 10_000_000 < peaks["sparsify"] <= peaks["cut"] <= peaks["finetune"]
    assert list(cut.report.metric) == ["name", "split", *PHASES]
    assert cut.report.metric["after_recalibration"] is None
    again = cutter()
    fit(again, ckpt_path=tmp_path / "2.ckpt")
    state = torch.load(tmp_path / "2.ckpt", weights_only=True)["callbacks"][cut.state_key]
    assert again.report.peak_memory_bytes["cut"] == state["peak_memory_bytes"]["cut"]


@pytest.mark.parametrize(
    ("phase", "plan", "kept"),
    [
        ("sparsify", False, True),
        ("sparsify", True, True),
        ("finetune", True, True),
        ("finetune", False, False),
        ("cut", True, False),
    ],
)
def test_a_phase_is_known_and_only_a_cut_network_is_fine_tuned(phase, plan, kept):
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    made = plan_pruning(model, torch.zeros(1, 4), {"macs": 0.5})
    saved = {**Record(plan=made if plan else None).to_dict(), "phase": phase}
    if kept:
        assert Record.from_dict(saved).phase == phase
        assert Record.from_dict(saved).to_dict() == saved
    else:
        with pytest.raises(ValueError, match=f"expected a phase among .* got '{phase}'"):
            Record.from_dict(saved)
