"""Scaling weights so that a share of every strength is left."""

import pytest
import torch

from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L1, L2, SquaredL2, Strength
from physprune_pl.structure import ChannelGroup, Slice


def penalty(weight: torch.nn.Parameter, norm: Strength) -> Penalty:
    rows = Slice("weight", 0, (0, 1, 2, 3), (0, 1, 2, 2), "filter")
    return Penalty([ChannelGroup("fc", 3, (rows,))], {"weight": weight}, norm)


@pytest.mark.parametrize("norm", [L2(), L1(), SquaredL2(), L2(scope="filter")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_asked_share_of_every_strength_is_left(norm: Strength, dtype: torch.dtype) -> None:
    pressed = penalty(weight := torch.nn.Parameter(torch.randn(4, 3, dtype=dtype)), norm)
    before, keep = pressed.strengths(), torch.tensor([1.0, 0.5, 0.0], dtype=dtype)
    pressed.shrink(keep, only=set())
    torch.testing.assert_close(pressed.strengths(), before)
    pressed.shrink(keep)
    torch.testing.assert_close(pressed.strengths(), before * keep)
    assert weight.grad is None


def test_an_element_of_two_channels_is_scaled_for_both() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    rows, columns = Slice("w", 0, (0, 1), (0, 1), "filter"), Slice("w", 1, (0, 1), (0, 1), "consumer")
    pressed = Penalty([ChannelGroup("a", 2, (rows,)), ChannelGroup("b", 2, (columns,))], {"w": weight}, L2())
    pressed.shrink(torch.tensor([0.5, 1.0, 0.25, 1.0]))
    assert weight.tolist() == [[0.125, 0.5], [0.25, 1.0]]


def test_frozen_weights_stay_and_a_wrong_shape_is_refused() -> None:
    pressed = penalty(weight := torch.nn.Parameter(torch.ones(4, 3), requires_grad=False), L2())
    pressed.shrink(torch.zeros(3))
    assert weight.eq(1).all()
    with pytest.raises(ValueError, match="keep"):
        pressed.shrink(torch.ones(4))
