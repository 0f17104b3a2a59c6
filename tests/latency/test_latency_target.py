"""``target={"latency": x}`` wherever a target is given, with times that are computed."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from synthetic import SyntheticClock, stopwatch
from torch import nn

from physprune_pl import PruningPlan, apply_plan, plan_pruning
from physprune_pl.commands import cut_options, main
from physprune_pl.latency import Stopwatch
from physprune_pl.latency.clock import DeviceClock
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Preferred

IMAGE = torch.zeros(2, 3, 8, 8)


def model(width: int = 32) -> nn.Module:
    torch.manual_seed(0)
    body = (nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3))
    return nn.Sequential(*body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@pytest.mark.parametrize("share", [0.75, 0.5])
def test_the_cut_network_takes_what_was_asked(tmp_path, share):
    net, watch = model(), stopwatch(tmp_path)
    plan = plan_pruning(net, IMAGE, {"latency": share}, stopwatch=watch)
    before = copy.deepcopy(net)
    times = watch.compare(before, apply_plan(net, plan), IMAGE)
    assert plan.latency["asked"] == share
    assert plan.latency["predicted"] == pytest.approx(share, rel=0.02)
    assert plan.latency["measured"] == times["pruned"] / times["dense"] == pytest.approx(share, abs=0.03)
    assert (plan.latency["dense_ms"], plan.latency["pruned_ms"]) == (times["dense"], times["pruned"])
    assert plan.latency["batch_size"] == 1


class LazyClock(SyntheticClock):
    """Cut networks take more than their layers tell, the first one nearly all of the dense one's time."""

    def __init__(self, first: float, power: float) -> None:
        super().__init__()
        self.first, self.power, self.seen = first, power, 0

    def networks(self, models, example):
        times = super().networks(models, example)
        if "pruned" in times:
            self.seen += 1
            share = (times["pruned"] / times["dense"]) ** self.power
            times["pruned"] = times["dense"] * (self.first if self.seen == 1 and self.first else share)
        return times


@pytest.mark.parametrize(("first", "power", "asked", "checks"), [(0.0, 0.8, 0.6, 2), (0.97, 1.0, 0.5, 3)])
def test_a_model_that_is_off_is_corrected_until_it_fits(tmp_path, first, power, asked, checks):
    clock = LazyClock(first, power)
    plan = plan_pruning(model(), IMAGE, {"latency": asked}, stopwatch=Stopwatch(1, tmp_path / "times.json", clock))
    assert plan.latency["measured"] == pytest.approx(asked, abs=0.05)
    assert clock.seen == checks + 1  # that of the plan itself


def test_planning_leaves_the_network_as_it_is(tmp_path):
    net = model()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    plan_pruning(net, IMAGE, {"latency": 0.5}, stopwatch=stopwatch(tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert net.training


def test_a_plan_with_figures_survives_json(tmp_path):
    plan = plan_pruning(model(), IMAGE, {"latency": 0.5}, stopwatch=stopwatch(tmp_path))
    assert PruningPlan.from_json(plan.to_json()) == plan
    assert "latency" not in json.loads(replace(plan, latency={}).to_json())
    for wrong in ({"asked": "half"}, {"asked": -1}, {"other": 1.0}, {"asked": True}):
        with pytest.raises(ValueError, match="latency: expected finite numbers"):
            PruningPlan.from_dict(plan.to_dict() | {"latency": wrong})


def test_once_it_is_measured_planning_is_arithmetic(tmp_path):
    net, watch = model(), stopwatch(tmp_path)
    plan_pruning(net, IMAGE, {"latency": 0.5}, stopwatch=watch)
    again = stopwatch(tmp_path)
    plan_pruning(net, IMAGE, {"latency": 0.5}, stopwatch=again)
    assert again.clock.timed == []
    assert again.clock.raced == 2, "one cut network corrects the prediction, and the one of the plan is checked"


def test_a_latency_out_of_reach_names_the_closest(tmp_path):
    with pytest.raises(TargetError, match=r"target latency=0.01 cannot be met .* closest reachable share is 0\."):
        plan_pruning(model(), IMAGE, {"latency": 0.01}, stopwatch=stopwatch(tmp_path))


def test_without_times_there_is_no_latency_to_meet():
    from hand_traces import chain

    with pytest.raises(ValueError, match="expected times of the traced model, got None"):
        Chooser(chain([2, 3, 2]), Target("latency", 0.5))


class Eights(SyntheticClock):
    """Works on eight channels at a time."""

    def layer(self, shape, device, dtype):
        return super().layer(shape, device, dtype) and float((-(-shape.weight[0] // 8)) ** 2)


def test_widths_are_rounded_to_what_the_device_likes(tmp_path):
    watch = Stopwatch(1, tmp_path / "times.json", Eights())
    plan = plan_pruning(model(), IMAGE, {"params": 0.52}, round_to="auto", stopwatch=watch)
    assert all(cut.after % 8 == 0 for cut in plan.groups)
    assert plan.params[1] < plan.params[0]
    assert plan.latency == {}
    assert Preferred(8).multiples == [8, 4, 2, 1]


def test_on_the_command_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cut_options, "Stopwatch", lambda batch, cache: Stopwatch(batch, cache, SyntheticClock()))
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("inspect", "--model", "torch.nn:Sequential", "--input", "1,3,8,8", "--target", "latency=0.5")
    assert main(words) == 2, "a network without layers"
    assert "error: " in capsys.readouterr().err
    (tmp_path / "factory.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    body = nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)\n"
        "    return nn.Sequential(*body, nn.Flatten(), nn.Linear(512, 2))\n"
    )
    options = ("--latency-batch", "2", "--latency-cache", str(tmp_path / "times.json"), "--round-to", "auto")
    plan = ("--save-plan", str(tmp_path / "plan.json"))
    words = ("inspect", "--model", "factory:build", "--input", "1,3,8,8", "--target", "latency=0.5")
    assert main((*words, *options, *plan)) == 0
    assert "Latency: asked 50.0%, predicted " in capsys.readouterr().out
    assert PruningPlan.from_json((tmp_path / "plan.json").read_text()).latency["batch_size"] == 2
    assert main((*words, "--latency-batch", "0")) == 2
    assert "batch_size: expected a whole number" in capsys.readouterr().err


def test_the_real_clock_tells_the_time_of_networks(tmp_path):
    watch = Stopwatch(2, tmp_path / "times.json", DeviceClock())
    found = watch.compare(model(64), model(2), IMAGE)
    assert found["pruned"] > 0
    assert found["dense"] > 0
