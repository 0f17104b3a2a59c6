"""The measures of inequality agree with loops written from their definitions, and keep to their bounds."""

import pytest
import torch
from reference import close

from physprune_pl.reports.concentration import NEAR_ZERO, concentration, effective_channels, near_zero


def naive_near_zero(strengths):
    return [100 * one <= max(strengths) for one in strengths]


def naive_effective_channels(strengths):
    """One over the chance that two draws, by share, give the same channel."""
    total = sum(strengths)
    return 1 / sum((one / total) ** 2 for one in strengths)


def naive_concentration(strengths):
    """Mean difference over all ordered pairs, halved, over the mean."""
    pairs = [abs(one - other) for one in strengths for other in strengths]
    return sum(pairs) / len(pairs) / 2 / (sum(strengths) / len(strengths))


GROUPS = {
    "any": torch.rand(17, generator=torch.Generator().manual_seed(1)),
    "spread": torch.randn(40, generator=torch.Generator().manual_seed(2)).mul(3).exp(),
    "some zero": torch.tensor([0.0, 2.0, 0.0, 0.01, 1.0]),
    "equal": torch.full((6,), 0.3),
    "one holds everything": torch.tensor([0.0, 0.0, 4.0]),
    "single": torch.tensor([2.5]),
}
any_group = pytest.mark.parametrize("strengths", GROUPS.values(), ids=GROUPS)
measures = pytest.mark.parametrize("measure", [effective_channels, concentration])


@any_group
@pytest.mark.parametrize(
    ("measure", "naive"),
    [
        (near_zero, naive_near_zero),
        (effective_channels, naive_effective_channels),
        (concentration, naive_concentration),
    ],
)
def test_agrees_with_a_loop(strengths, measure, naive):
    close(measure(strengths).float(), torch.tensor(naive(strengths.tolist())).float())


@any_group
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
@pytest.mark.parametrize("measure", [near_zero, effective_channels, concentration])
def test_one_factor_for_all_channels_changes_nothing(strengths, factor, measure):
    close(measure(factor * strengths).float(), measure(strengths).float())


@any_group
@measures
def test_the_order_of_the_channels_changes_nothing(strengths, measure):
    order = torch.randperm(len(strengths))
    close(measure(strengths[order]), measure(strengths))


@any_group
def test_bounds(strengths):
    size = len(strengths)
    assert 1 - 1e-5 <= effective_channels(strengths) <= size * (1 + 1e-6)
    assert -1e-6 <= concentration(strengths) <= 1 - 1 / size + 1e-6


def test_the_ends_of_the_ranges_are_reached():
    equal, single = torch.full((8,), 3.0), torch.tensor([0.0, 0.0, 0.0, 7.0])
    assert (effective_channels(equal), concentration(equal)) == (8, 0)
    assert (effective_channels(single), concentration(single)) == (1, 0.75)


def test_a_group_that_is_zero_altogether():
    zero = torch.zeros(3)
    assert near_zero(zero).all()
    assert (effective_channels(zero), concentration(zero)) == (0, 0)


def test_near_zero_at_the_threshold_and_beside_what_is_not_a_number():
    assert near_zero(torch.tensor([1.0, NEAR_ZERO, 1.01 * NEAR_ZERO])).tolist() == [False, True, False]
    assert near_zero(torch.tensor([float("nan"), 1.0, 0.0])).tolist() == [False, False, True]
    assert not near_zero(torch.full((2,), float("nan"))).any()


def test_near_zero_takes_epochs_at_once():
    epochs = torch.rand(5, 7).pow(4)
    assert torch.equal(near_zero(epochs), torch.stack([near_zero(row) for row in epochs]))


@measures
def test_a_divergence_shows(measure):
    assert measure(torch.tensor([float("nan"), 1.0])).isnan()


@measures
@pytest.mark.parametrize(
    ("strengths", "told"),
    [
        (torch.rand(2, 3), r"vector of at least one, got shape \(2, 3\)"),
        (torch.rand(0), r"got shape \(0,\)"),
        (torch.tensor([1.0, -0.5]), "numbers from 0 up, got -0.5"),
    ],
)
def test_bad_strengths_are_named(measure, strengths, told):
    with pytest.raises(ValueError, match=f"strengths: expected .*{told}"):
        measure(strengths)
