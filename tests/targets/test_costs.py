"""The cost of a cut: every figure is worked out by hand in a comment."""

from __future__ import annotations

import pytest
import torch
from hand_traces import chain, make_trace, mask, part
from torch import nn

from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.structure import ChannelGroup, MixingCall, Slice
from physprune_pl.targets.costs import Cost, CostModel


def test_rows_and_columns_of_one_weight_belong_to_two_groups():
    model = CostModel(chain([3, 4, 5, 2]))
    assert model.dense == Cost(macs=12 + 20 + 10, params=42)
    # 3 -> 3 -> 3 -> 2
    assert model([mask(4, 1), mask(5, 0, 4)]) == Cost(macs=9 + 9 + 6, params=24)


def test_one_group_in_both_dimensions_of_a_weight():
    # a residual stream of 4 channels: the weight keeps (4 - 1) x (4 - 1)
    group = ChannelGroup("stream", 4, (part("w", 0, 4, "filter"), part("w", 1, 4, "consumer")))
    model = CostModel(make_trace([group], {"w": (4, 4, 3, 3)}, [MixingCall("w", 10)]))
    assert model([mask(4, 2)]) == Cost(macs=10 * 81, params=81)


def test_every_call_of_a_weight_has_its_own_positions():
    trace = chain([3, 4, 2])
    twice = make_trace(trace.groups, trace.shapes, [MixingCall("fc0", 10), MixingCall("fc0", 7)])
    assert CostModel(twice)([mask(4, 0)]) == Cost(macs=17 * 9, params=9 + 6)


def test_a_flattened_channel_owns_several_columns():
    # conv with 4 filters of 3 x 1 x 1 at 2 x 2 pixels, flattened into a linear layer 16 -> 5
    slices = (part("conv", 0, 4, "filter"), part("fc", 1, 4, "consumer", repeat=4))
    calls = [MixingCall("conv", 4), MixingCall("fc", 1)]
    model = CostModel(make_trace([ChannelGroup("conv", 4, slices)], {"conv": (4, 3, 1, 1), "fc": (5, 16)}, calls))
    assert model.dense == Cost(macs=48 + 80, params=12 + 80)
    assert model([mask(4, 1, 3)]) == Cost(macs=24 + 40, params=6 + 40)


def test_channels_that_own_different_numbers_of_indices():
    slices = (part("a", 0, 2, "filter"), Slice("b", 1, (0, 1, 2), (0, 0, 1), "consumer"))
    trace = make_trace([ChannelGroup("a", 2, slices)], {"a": (2, 1), "b": (1, 3)}, [])
    assert CostModel(trace)([mask(2, 0)]).params == 1 + 1
    assert CostModel(trace)([mask(2, 1)]).params == 1 + 2


def test_two_groups_share_one_dimension():
    # concat of 2 and 3 channels into a linear layer with 5 columns
    first = ChannelGroup("a", 2, (part("a", 0, 2, "filter"), part("c", 1, 2, "consumer")))
    second = ChannelGroup("b", 3, (part("b", 0, 3, "filter"), part("c", 1, 3, "consumer", start=2)))
    trace = make_trace([first, second], {"a": (2, 1), "b": (3, 1), "c": (4, 5)}, [MixingCall("c", 1)])
    assert CostModel(trace)([mask(2, 0), mask(3, 0, 1)]) == Cost(macs=8, params=1 + 1 + 8)


def test_two_slices_of_one_channel_in_one_dimension_add_up():
    slices = (part("a", 0, 2, "filter"), part("c", 1, 2, "consumer"), part("c", 1, 2, "consumer", start=2))
    trace = make_trace([ChannelGroup("a", 2, slices)], {"a": (2, 1), "c": (3, 4)}, [])
    assert CostModel(trace)([mask(2, 1)]).params == 1 + 6


def test_only_the_rows_of_a_grouped_convolution_are_cut():
    # 4 inputs, 4 outputs, 2 conv groups: one unit is a whole conv group with 2 rows, the columns stay 2
    slices = (part("g", 0, 2, "filter", repeat=2),)
    trace = make_trace([ChannelGroup("g", 2, slices)], {"g": (4, 2, 3, 3)}, [MixingCall("g", 6)])
    assert CostModel(trace)([mask(2, 0)]) == Cost(macs=6 * 2 * 2 * 9, params=36)


def test_buffers_are_cut_but_not_counted_and_fixed_macs_stay():
    slices = (part("w", 0, 3, "filter"), part("mean", 0, 3, "buffer"))
    shapes = {"w": (3, 2), "mean": (3,), "loose": (7,)}
    trace = make_trace([ChannelGroup("w", 3, slices)], shapes, [MixingCall("w", 1)], ["mean"], fixed_macs=100)
    assert CostModel(trace).dense == Cost(macs=106, params=13)
    assert CostModel(trace)([mask(3, 0)]) == Cost(macs=104, params=11)


def test_an_attention_product_depends_on_one_dimension():
    # 2 heads of 3 in the columns of an output projection, 5 tokens: products cost 2 * 5 * 5 * 6
    slices = (part("out", 1, 2, "consumer", repeat=3),)
    call = MixingCall("out", positions=50, dims=(1,))
    trace = make_trace([ChannelGroup("heads", 2, slices)], {"out": (6, 6)}, [call])
    assert CostModel(trace).dense.macs == 300
    assert CostModel(trace)([mask(2, 1)]).macs == 150


def test_the_positions_of_a_call_shrink_with_the_channels_that_pass_it_along_another_axis():
    # 4 channels of 6 patches each: a layer of 6 x 6 is applied to every channel
    group = ChannelGroup("stem", 4, (part("stem", 0, 4, "filter"), part("fc", 1, 4, "consumer")))
    shapes = {"stem": (4, 3), "mix": (6, 6), "fc": (2, 4)}
    calls = [MixingCall("stem", 6), MixingCall("mix", 4, across=("stem", 0)), MixingCall("fc", 1)]
    model = CostModel(make_trace([group], shapes, calls))
    assert model.dense == Cost(macs=6 * 12 + 4 * 36 + 8, params=12 + 36 + 8)
    assert model([mask(4, 0)]) == Cost(macs=6 * 9 + 3 * 36 + 6, params=9 + 36 + 6)


def test_equals_a_fresh_count_of_the_smaller_network():
    def network(width: int, depthwise: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, groups=width), nn.ReLU(),
            nn.ConvTranspose2d(width, depthwise, 2, stride=2), nn.Flatten(), nn.Linear(depthwise * 64, 5),
        )  # fmt: skip

    image = torch.zeros(1, 3, 6, 6)
    first = [("0.weight", 0), ("0.bias", 0), ("1.weight", 0), ("1.bias", 0), ("3.weight", 0), ("3.bias", 0)]
    wide = ChannelGroup("0", 6, (*(part(n, d, 6, "filter") for n, d in first), part("5.weight", 0, 6, "consumer")))
    second = (part("5.weight", 1, 4, "filter"), part("5.bias", 0, 4, "carrier"))
    deep = ChannelGroup("5", 4, (*second, part("7.weight", 1, 4, "consumer", repeat=64)))
    calls = [MixingCall("0.weight", 36), MixingCall("3.weight", 16), MixingCall("5.weight", 16)]
    shapes = {name: tuple(value.shape) for name, value in network(6, 4).named_parameters()}
    model = CostModel(make_trace([wide, deep], shapes, [*calls, MixingCall("7.weight", 1)]))
    for a, b, removed in [(6, 4, [mask(6), mask(4)]), (2, 3, [mask(6, 0, 2, 3, 5), mask(4, 3)])]:
        smaller = network(a, b)
        assert model(removed) == Cost(count_macs(smaller, image), count_parameters(smaller))


def test_a_network_without_groups_has_one_cost():
    trace = make_trace([], {"w": (3, 2)}, [MixingCall("w", 4)])
    assert CostModel(trace)([]) == CostModel(trace).dense == Cost(macs=24, params=6)


@pytest.mark.parametrize("removed", [[mask(4)], [mask(4), mask(4)], [mask(5), mask(4)]])
def test_removed_must_fit_the_groups(removed):
    with pytest.raises(ValueError, match=r"removed: expected one boolean tensor per group, of sizes \[4, 5\]"):
        CostModel(chain([3, 4, 5, 2]))(removed)
