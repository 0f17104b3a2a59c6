"""Coefficients of stacked groups equal those of one group at a time, and are worked out only when they change."""

import pytest
import torch
from hand_traces import part
from read_back import NothingReadBack
from torch import Tensor, nn

from physprune_pl.channels import Channels
from physprune_pl.distances import DISTANCES
from physprune_pl.forces import FORCES, LinearTorque
from physprune_pl.pressing.group_coefficients import GroupCoefficients
from physprune_pl.pressing.group_law import GroupLaw
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2
from physprune_pl.structure import ChannelGroup

SIZES = (5, 3, 5, 1, 3)


def made(force, distance=None, pivot=0):
    groups, tensors = [], {}
    for number, size in enumerate(SIZES):
        groups.append(ChannelGroup(f"g{number}", size, (part(f"w{number}", 0, size, "filter"),)))
        tensors[f"w{number}"] = nn.Parameter(torch.randn(size, 4))
    penalty = Penalty(groups, tensors, L2())
    return GroupCoefficients(GroupLaw.resolve(force, distance, pivot), groups, penalty), penalty


def one_by_one(together: GroupCoefficients, strengths: Tensor) -> Tensor:
    law, penalty = together.law, together.penalty
    channels = law.channels(strengths, penalty.signs(), penalty.segments)
    return law.coefficients(channels, together.groups, check=True)


@pytest.mark.parametrize("pivot", ["first", "middle", "strongest"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("force", FORCES)
def test_stacked_equals_one_by_one(force, distance, pivot):
    together, penalty = made(force, distance, pivot)
    for tied in (False, True):
        strengths = penalty.strengths().round() if tied else penalty.strengths()
        torch.testing.assert_close(together(strengths, check=False), one_by_one(together, strengths))


class Counting(LinearTorque):
    calls = 0

    def __call__(self, channels: Channels) -> Tensor:
        type(self).calls += 1
        return super().__call__(channels)


class Declared(Counting):
    reads = frozenset({"distance"})
    calls = 0

    def __call__(self, channels: Channels) -> Tensor:
        return super().__call__(channels)


def test_a_law_with_a_call_of_its_own_says_anew_what_it_reads():
    assert Counting.reads is None
    for law, calls in ((Counting(), 2 * len(SIZES)), (Declared(), len(set(SIZES)))):
        together, penalty = made(law)
        first, second = (together(penalty.strengths(), check=False) for _ in range(2))
        torch.testing.assert_close(first, second)
        assert type(law).calls == calls


@pytest.mark.parametrize(
    ("force", "distance", "pivot", "constant"),
    [
        ("uniform", "strength_gap", "strongest", True),
        ("torque", "index", 1, True),
        ("exponential", "index", "strongest", False),
        ("exponential", "rank", 0, False),
        ("gravity", "index", 0, False),
        (lambda channels: channels.distance, "index", 0, False),
    ],
)
def test_constant_is_what_depends_on_the_number_of_channels_alone(force, distance, pivot, constant):
    law = GroupLaw.resolve(force, distance, pivot)
    assert law.constant is constant


def test_signs_are_asked_for_only_by_who_reads_them(monkeypatch):
    asked = []
    monkeypatch.setattr(Penalty, "signs", lambda self: asked.append(self) or torch.ones(self.size))
    for force in ("uniform", "torque", "exponential", "gravity", "gravity_literal"):
        together, penalty = made(force)
        together(penalty.strengths(), check=True)
    assert not asked
    together, penalty = made("electrostatic")
    together(penalty.strengths(), check=False)
    assert asked


def test_a_kept_coefficient_follows_type_and_device_of_the_strengths():
    together, penalty = made("torque")
    assert together(penalty.strengths(), check=False) is together(penalty.strengths(), check=False)
    assert together(penalty.strengths().double(), check=False).dtype == torch.float64


def test_a_check_names_law_and_group():
    together, penalty = made("gravity")
    strengths = penalty.strengths()
    strengths[5] = torch.nan
    together(strengths, check=False)
    with pytest.raises(ValueError, match=r"force law Gravity on group 'g1': expected finite coefficients"):
        together(strengths, check=True)


@pytest.mark.parametrize("pivot", ["first", "strongest"])
@pytest.mark.parametrize("force", FORCES)
def test_nothing_is_read_back_without_a_check(force, pivot):
    together, penalty = made(force, pivot=pivot)
    with NothingReadBack():
        together(penalty.strengths(), check=False)
