"""The report of any fit has file sizes and latencies, and measuring them changes nothing."""

from __future__ import annotations

import pytest
import torch
from small import Classifier, cutter, fit
from torch import Tensor, nn

from physprune_pl.callbacks.cut import network_costs
from physprune_pl.networks.measure import file_bytes

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def test_the_report_of_a_fit_has_file_sizes_and_latencies():
    cut = cutter()
    model, _ = fit(cut)
    report = cut.report
    assert report.file_bytes["pruned"] == file_bytes(model)
    assert report.file_bytes["dense"] > report.file_bytes["pruned"]
    assert list(report.latency_ms) == ["batch_1", "batch_32"]
    assert all(times[name] > 0 for times in report.latency_ms.values() for name in ("dense", "pruned"))
    assert report.seconds["timing"] > 0
    assert "latency, batch 32" in report.table()


def noisy() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(128, 3)
    )


def test_training_goes_on_as_if_nothing_had_been_measured(monkeypatch):
    def trained() -> dict[str, Tensor]:
        torch.manual_seed(0)
        return fit(cutter(), model=Classifier(network=noisy))[0].state_dict()

    threads, measured = torch.get_num_threads(), trained()
    monkeypatch.setattr(network_costs, "measure_latency", lambda *_: {})
    plain = trained()
    assert torch.get_num_threads() == threads
    assert all(torch.equal(measured[name], value) for name, value in plain.items())


class FewSamples(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 16 and not self.training and not torch.is_grad_enabled():
            raise MemoryError("too much")
        return super().forward(x)


def test_what_cannot_be_timed_is_warned_of_and_costs_no_fit():
    cut = cutter()
    with pytest.warns(UserWarning, match="the report has no latency with 32 samples: MemoryError: too much"):
        fit(cut, model=Classifier(network=lambda: FewSamples(*noisy())))
    assert list(cut.report.latency_ms) == ["batch_1"]


def test_a_latency_of_the_example_alone_where_the_network_takes_no_other():
    found = network_costs._latencies(
        {"dense": nn.Linear(2, 2)}, network_costs.Example((torch.zeros(3, 2),), whole=True)
    )
    assert list(found) == ["batch_3"]


def test_the_figures_of_a_fit_that_is_resumed_after_the_cut_are_those_of_its_checkpoint(tmp_path):
    cut = cutter()
    fit(cut)
    state = cut.state_dict()
    assert state["latency_ms"] == cut.report.latency_ms
    again = type(cut.record).from_dict(state)
    assert again.facts(None)["file_bytes"] == cut.report.file_bytes
    older = {name: value for name, value in state.items() if name not in ("latency_ms", "file_bytes")}
    assert type(cut.record).from_dict(older).facts(None)["latency_ms"] == {}
