"""The share of the chosen channels that has arrived."""

import torch
from hand_traces import chain

from physprune_pl.pressing.steering import ARRIVED, Steering
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import parse_target


def test_the_share_counts_chosen_channels_against_the_start_of_their_group() -> None:
    steered = Steering(Chooser(chain((6, 4, 3, 4)), parse_target({"params": 0.5})), [slice(0, 4), slice(4, 7)])
    zero = torch.zeros(7)
    assert steered.arrived_share(zero) == 0.0
    steered.start = torch.tensor([10.0, 1.0], dtype=torch.float64)
    assert steered.arrived_share(zero) == 0.0, "nothing is chosen"
    steered.chosen = torch.tensor([True, True, False, False, True, False, True])
    strengths = torch.tensor([10 * ARRIVED * 0.9, 10 * ARRIVED * 1.1, 0.0, 5.0, ARRIVED * 0.9, 0.0, 0.5])
    assert steered.arrived_share(strengths) == 0.5
    assert steered.arrived_share(zero) == 1.0
