"""Groups: which channels must not all go."""

from __future__ import annotations

import pytest
import torch

from physprune_pl.structure import ChannelGroup, Slice, Trace
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target


def part(name: str, *channels: int, role="consumer") -> Slice:
    return Slice(name, 1, tuple(range(len(channels))), channels, role)


SLICES = (part("a", 0, 1, 2, 3, 4, 5), part("b", 0, 1, 2), part("c", 1, 2), part("d", 4, 5, 4), part("e", 0, 1, 2))
GROUP = ChannelGroup("conv", 6, SLICES)


def test_parts_are_the_least_sets_that_slices_consist_of():
    assert GROUP.parts == ((1, 2), (4, 5))
    assert ChannelGroup("plain", 3, (part("a", 0, 1, 2),)).parts == ((0, 1, 2),)


@pytest.mark.parametrize("gone", [(0, 1, 2, 3, 4, 5), (1, 2, 4, 5), (0, 3), ()])
def test_one_channel_of_every_slice_is_left(gone):
    removed = torch.zeros(6, dtype=torch.bool)
    removed[list(gone)] = True
    before, left = removed.clone(), GROUP.leaving_one(removed)
    assert torch.equal(removed, before)
    assert all(not bool(left[list(one.channel)].all()) for one in GROUP.slices)
    assert not bool((left & ~removed).any())
    assert int((removed & ~left).sum()) <= len(GROUP.parts)


def test_what_is_chosen_leaves_the_best_of_every_slice():
    # No slice of two channels fills its dimension alone, yet both together would leave none of it.
    ranks = torch.tensor([9.0, 1.0, 2.0, 8.0, 4.0, 3.0])
    shapes = {name: (2, 12) for name in "abcde"}
    traced = Trace((GROUP,), (), (), 0.0, shapes, frozenset(shapes), (), 0, frozenset())
    (removed,) = Chooser(traced, Target("threshold", 1.0)).choose([ranks])
    assert removed.tolist() == [False, True, False, True, False, True]
