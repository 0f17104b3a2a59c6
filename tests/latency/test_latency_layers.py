"""Layers as a device meets them: recorded from a run, made smaller, and called again."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from physprune_pl.latency import LayerShape
from physprune_pl.latency.layers import layers_of
from physprune_pl.networks.example import Example


class Kinds(nn.Module):
    """Every kind of layer once."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 12, 1, groups=4)
        self.wider = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.own = nn.Parameter(torch.randn(6, 5))
        self.head = nn.Linear(5, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = self.wider(self.grouped(self.depthwise(self.plain(images)))).mean((2, 3))
        return self.head(F.relu(pooled @ self.own))


def recorded(model: nn.Module, example: torch.Tensor) -> dict[str, LayerShape]:
    return {layer.weight: layer.shape for layer in layers_of(model, Example.of(example))}


def test_every_layer_is_recorded_with_what_it_was_called_with():
    shapes = recorded(Kinds(), torch.zeros(2, 3, 8, 8))
    assert [shape.key for shape in shapes.values()] == [
        "conv2d 2x3x8x8 8x3x3x3 stride=2x2 padding=1x1 dilation=1x1",
        "conv2d 2x8x4x4 8x1x3x3 stride=1x1 padding=1x1 dilation=1x1 groups=8",
        "conv2d 2x8x4x4 12x2x1x1 stride=1x1 padding=0x0 dilation=1x1 groups=4",
        "conv_transpose2d 2x12x4x4 12x6x2x2 stride=2x2 padding=0x0 output_padding=0x0 dilation=1x1",
        "matmul 2x6 6x5",
        "linear 2x5 4x5",
    ]


def test_every_layer_runs_at_every_width_that_is_timed():
    for layer in layers_of(Kinds(), Example.of(torch.zeros(2, 3, 8, 8))):
        shape = layer.shape
        for rows in shape.rows:
            for columns in shape.columns:
                smaller = shape.at(rows, columns)
                out = smaller.call(torch.device("cpu"), torch.float32)()
                assert smaller.weight[shape.output_dim], smaller.weight[shape.input_dim] == (rows, columns)
                assert len(out) == 2
        assert shape.at(shape.weight[shape.output_dim], shape.weight[shape.input_dim]) == shape


def test_grouped_convolutions_lose_whole_conv_groups():
    shapes = recorded(Kinds(), torch.zeros(1, 3, 8, 8))
    assert shapes["depthwise.weight"].rows == (1, 2, 4, 6, 8)
    assert shapes["depthwise.weight"].columns == (1,)
    grouped = shapes["grouped.weight"]
    assert (grouped.rows, grouped.columns) == ((3, 6, 9, 12), (2,))
    assert grouped.at(6, 2).groups == 2
    assert grouped.at(6, 2).data == (1, 4, 4, 4)


def test_the_same_weight_is_recorded_at_every_call():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    assert len(layers_of(Twice(), Example.of(torch.zeros(1, 4)))) == 2


def test_memory_formats_are_part_of_a_shape_and_of_its_call():
    model = Kinds().to(memory_format=torch.channels_last)
    image = torch.zeros(2, 3, 8, 8).to(memory_format=torch.channels_last)
    shape = recorded(model, image)["plain.weight"]
    assert shape.channels_last
    assert shape.key.endswith("channels_last")
    out = shape.call(torch.device("cpu"), torch.float32)()
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_a_batch_that_the_network_does_not_take_is_named():
    class Three(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).view(3, 2)

    with pytest.raises(ValueError, match=r"batch_size: the network does not run on 5 samples.*Stopwatch"):
        layers_of(Three(4, 2), Example.of(torch.zeros(5, 4)))
