"""How the pressure of a group is shared among its channels."""

from __future__ import annotations

import pytest
import torch

from physprune_pl.pressing.chosen_channels import ChosenChannels
from physprune_pl.pressing.segments import Segments


def shape(law: list[float], chosen: list[bool], late: list[bool] | None = None) -> list[float]:
    """Shape of the first four channels as a group; a second group of one must not matter."""
    segments, laws = Segments([slice(0, 4), slice(4, 5)]), torch.tensor([*law, 100.0])
    masks = (torch.tensor([*mask, True]) for mask in (chosen, late or chosen))
    decision = ChosenChannels.of(*masks, torch.zeros(2), torch.zeros(2), segments, laws)
    return decision.shape(laws, segments)[:4].tolist()


def test_half_of_the_pressure_is_even_and_attraction_counts_as_none() -> None:
    assert shape([-4.0, 0.0, 2.0, 9.0], [True, True, True, False]) == pytest.approx([0.5, 0.5, 2.0, 0.0])
    assert shape([0.0, 0.0, 0.0, 0.0], [True, True, False, False]) == [1.0, 1.0, 0.0, 0.0]
    assert shape([1.0, 2.0, 3.0, 4.0], [False] * 4) == [0.0] * 4


def test_the_late_share_the_pressure_of_all() -> None:
    some = [True, True, True, False]
    assert shape([1.0, 1.0, 1.0, 1.0], some, [True, False, False, False]) == [3.0, 1.0, 1.0, 0.0]
    assert shape([0.0, 1.0, 3.0, 1.0], some, [False, True, True, False]) == pytest.approx([1.0, 1.125, 1.875, 0.0])
    assert shape([0.0, 1.0, 3.0, 1.0], some, [False] * 4) == [1.0, 1.0, 1.0, 0.0]
