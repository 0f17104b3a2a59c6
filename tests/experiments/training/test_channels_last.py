"""Channels stored last stay so: in examples of other sizes, through the cut, and while a network is timed."""

from __future__ import annotations

import pytest
import torch
from synthetic import stopwatch
from torch import nn

from physprune_pl import apply_plan, plan_pruning
from physprune_pl.latency.layers import layers_of
from physprune_pl.networks.example import Example

LAST = torch.channels_last


def model() -> nn.Module:
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3))
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)).to(memory_format=LAST)


def image(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 8, 8).to(memory_format=LAST)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_example_of_another_size_has_its_channels_last(batch):
    (sized,) = Example.of(image()).sized(batch).args
    assert sized.shape == (batch, 3, 8, 8)
    assert sized.is_contiguous(memory_format=LAST)
    assert not sized.is_contiguous()
    (plain,) = Example.of(image().contiguous()).sized(batch).args
    assert plain.is_contiguous()


def test_three_dimensions_of_space_have_a_format_of_their_own():
    clip = torch.randn(1, 3, 4, 4, 4).to(memory_format=torch.channels_last_3d)
    (sized,) = Example.of(clip).sized(3).args
    assert sized.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(("target", "share"), [("macs", 0.5), ("latency", 0.8)])
def test_a_cut_keeps_channels_last(target, share, tmp_path):
    net = model()
    plan = plan_pruning(net, image(), {target: share}, stopwatch=stopwatch(tmp_path))
    apply_plan(net, plan)
    assert sum(cut.before - cut.after for cut in plan.groups) > 0
    for weight in (net[0].weight, net[3].weight):
        assert weight.is_contiguous(memory_format=LAST)
        assert not weight.is_contiguous()
    assert net[:4](image()).is_contiguous(memory_format=LAST)


def test_layers_are_timed_with_channels_last():
    layers = layers_of(model(), Example.of(image()).sized(3))
    assert [layer.shape.channels_last for layer in layers] == [True, True, False]
    first = layers[0].shape.at(4, 3).call(torch.device("cpu"), torch.float32)
    assert first().is_contiguous(memory_format=LAST)
