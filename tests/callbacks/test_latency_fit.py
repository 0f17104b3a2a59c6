"""A fit whose target is a latency: steered, cut, timed and told; times are computed."""

from __future__ import annotations

import re

import pytest
from small import Classifier, cutter, fit, net
from synthetic import stopwatch
from torch import nn, zeros

from physprune_pl import physics_pruning

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

TARGET = {"latency": 0.8}


@pytest.mark.parametrize("force", [None, "uniform"])
def test_a_fit_meets_a_latency(tmp_path, force):
    watch = stopwatch(tmp_path)
    callbacks = physics_pruning(force, target=TARGET, finetune_epochs=1, stopwatch=watch)
    model, _ = fit(*callbacks, model=Classifier(network=wide), epochs=3)
    figures = callbacks[-1].report.latency_target
    assert figures["asked"] == 0.8
    assert figures["predicted"] == pytest.approx(0.8, rel=0.02)
    assert figures["measured"] == pytest.approx(0.8, abs=0.05)
    times = watch.compare(wide(), model.net, zeros(1, 1, 6, 6))
    assert times["pruned"] / times["dense"] == pytest.approx(figures["measured"])
    assert callbacks[-1].plan.latency == figures
    assert "Latency: asked 80.0%, predicted " in callbacks[-1].report.to_markdown()
    assert "measured " in callbacks[-1].report.table()


def wide():
    layers = list(net())
    layers[0], layers[1] = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
    layers[3], layers[4], layers[-1] = nn.Conv2d(32, 32, 3, bias=False), nn.BatchNorm2d(32), nn.Linear(32, 2)
    return nn.Sequential(*layers)


def test_the_cutting_callback_alone_takes_a_stopwatch(tmp_path):
    cut = cutter(target=TARGET, round_to="auto", stopwatch=stopwatch(tmp_path))
    assert re.search("asked 80.0%, predicted .*, measured (79|80|81)", cut.preview(wide(), zeros(1, 1, 6, 6)))
    fit(cut, model=Classifier(network=wide), epochs=1)
    assert cut.report.latency_target["measured"] < 0.9


def test_other_targets_measure_nothing(tmp_path):
    watch = stopwatch(tmp_path)
    cut = cutter(stopwatch=watch)
    fit(cut, epochs=1)
    assert cut.report.latency_target == {}
    assert "Latency" not in cut.report.table()
    assert (watch.clock.timed, watch.clock.raced) == ([], 0)
