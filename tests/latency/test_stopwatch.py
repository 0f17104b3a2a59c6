"""Measured once, remembered, and right: all with times that are computed."""

from __future__ import annotations

import json

import pytest
import torch
from synthetic import SyntheticClock, stopwatch
from torch import nn

from physprune_pl.latency import LayerShape, Stopwatch
from physprune_pl.latency.clock import DeviceClock
from physprune_pl.latency.multiples import liked
from physprune_pl.targets.costs import CostModel
from physprune_pl.tracing.tracer import trace

IMAGE = torch.zeros(2, 3, 8, 8)


def model() -> nn.Module:
    torch.manual_seed(0)
    convolutions = (nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1))
    return nn.Sequential(*convolutions, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def test_the_dense_network_takes_what_was_measured(tmp_path):
    net, watch = model(), stopwatch(tmp_path)
    traced = trace(net, IMAGE)
    costs = CostModel(traced, watch.latency(net, IMAGE, traced))
    assert costs.dense.latency == pytest.approx(watch.compare(net, net, IMAGE)["dense"], rel=0.02)
    assert CostModel(traced).dense.latency == 0


def test_shapes_are_timed_once_and_kept_in_a_file(tmp_path):
    net, first, second = model(), stopwatch(tmp_path), stopwatch(tmp_path)
    traced = trace(net, IMAGE)
    found = first.latency(net, IMAGE, traced)
    assert len(first.clock.timed) == sum(len(grid.rows) * len(grid.columns) for grid in found.grids)
    assert second.latency(net, IMAGE, traced) == found
    assert (second.clock.timed, second.clock.raced) == ([], 0)
    (page,) = json.loads((tmp_path / "times.json").read_text())["devices"].values()
    assert page.keys() == {"layers", "networks"}
    assert page["layers"].keys() == {layer.shape.key for layer in found.layers}


def test_another_batch_size_is_another_shape(tmp_path):
    net = model()
    found = stopwatch(tmp_path, batch_size=7).latency(net, IMAGE, trace(net, IMAGE))
    assert {layer.shape.data[0] for layer in found.layers} == {7}
    assert found.batch_size == 7


def test_a_network_without_layers_has_no_latency_to_cut(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="no convolution and no linear layer"):
        stopwatch(tmp_path).latency(net, torch.zeros(2, 4), trace(net, torch.zeros(2, 4)))


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "1"])
def test_refuses_a_batch_size(batch_size):
    with pytest.raises(ValueError, match="batch_size: expected a whole number of at least 1"):
        Stopwatch(batch_size)


class Eights(SyntheticClock):
    """Works on eight channels at a time."""

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        return super().layer(shape, device, dtype) and float((-(-shape.weight[0] // 8)) ** 2)


def test_the_multiple_that_a_device_likes_is_found_and_kept(tmp_path):
    net, first, second = model(), *(Stopwatch(1, tmp_path / "times.json", Eights()) for _ in range(2))
    assert (first.multiple(net), second.multiple(net)) == (8, 8)
    assert first.clock.timed
    assert not second.clock.timed


@pytest.mark.parametrize("multiple", [1, 8, 16, 32])
def test_any_multiple_is_found(multiple):
    assert liked(lambda shape: float((-(-shape.weight[0] // multiple)) ** 2)) == multiple


def test_the_real_clock_times_layers_and_networks():
    clock, net = DeviceClock(), nn.Linear(4, 4)
    stop = Stopwatch(clock=clock)
    assert stop.compare(net, net, torch.zeros(1, 4)).keys() == {"dense", "pruned"}
    assert clock.layer(LayerShape("linear", (1, 4), (4, 4)), torch.device("cpu"), torch.float32) > 0
    assert net.training
