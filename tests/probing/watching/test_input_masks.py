"""Masks that channels are multiplied with bring nothing back where the channels are gone; sums do."""

import pytest
import torch

from physprune_pl.probing.watching.input_masks import InputMasks

NAN = float("nan")
CHANNELS, MASK = torch.ones(2, 3), torch.full((2, 1), NAN)


def outputs(operation, *operands):
    """Of an operation on channels and a mask that is NaN, after a run in which the channels were NaN."""
    masks = InputMasks()
    with masks:
        operation(*(torch.full_like(one, NAN) if one is CHANNELS else torch.ones_like(one) for one in operands))
    masks.start_again()
    with masks:
        return operation(*operands)


@pytest.mark.parametrize(
    ("operation", "operands"),
    [
        (torch.mul, (CHANNELS, MASK)),
        (torch.multiply, (MASK, CHANNELS)),
        (lambda x, mask: x / mask, (CHANNELS, MASK)),
        (lambda x, mask: x.clone().mul_(mask), (CHANNELS, MASK)),
        (lambda x, mask: x.clone().div_(mask), (CHANNELS, MASK)),
    ],
)
def test_a_mask_of_the_channels_leaves_them_as_they_are(operation, operands):
    assert outputs(operation, *operands).tolist() == CHANNELS.tolist()


@pytest.mark.parametrize(
    ("operation", "operands"),
    [
        (torch.add, (CHANNELS, MASK)),
        (torch.div, (MASK, CHANNELS)),
        (torch.mul, (CHANNELS, torch.full((2, 3), NAN))),
        (torch.mul, (torch.ones(2, 3), MASK)),
    ],
)
def test_anything_else_lets_the_mark_pass(operation, operands):
    assert outputs(operation, *operands).isnan().all()


def test_products_that_the_first_run_did_not_make_are_left_alone():
    masks = InputMasks()
    masks.start_again()
    with masks:
        assert (CHANNELS * MASK).isnan().all()


def test_products_with_numbers_and_of_integers_are_left_alone():
    masks = InputMasks()
    with masks:
        assert (2 * CHANNELS).tolist() == (2 * torch.ones(2, 3)).tolist()
        assert (torch.ones(2, dtype=torch.int64) * torch.tensor([3])).tolist() == [3, 3]
