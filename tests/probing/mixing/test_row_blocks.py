"""Which rows of which parameter a weight is."""

import pytest
import torch
from torch import nn

from physprune_pl.probing.mixing.row_blocks import RowBlock

PARAMETER = nn.Parameter(torch.randn(6, 4))


@pytest.mark.parametrize(
    ("value", "first", "rows"),
    [
        (PARAMETER.chunk(3)[2], 4, 2),
        (PARAMETER.split([1, 5])[1], 1, 5),
        (PARAMETER[:2], 0, 2),
        (PARAMETER.unflatten(0, (3, 2))[1], 2, 2),
    ],
)
def test_rows_one_after_the_other_are_a_block(value, first, rows):
    block = RowBlock.of(value)
    assert block.owner is PARAMETER
    assert not block.whole
    assert block.index.tolist() == list(range(first, first + rows))
    assert torch.equal(block.part_of(PARAMETER), value)


@pytest.mark.parametrize("value", [PARAMETER[::2], PARAMETER[:, :2], PARAMETER[1:].T, PARAMETER * 2, PARAMETER, None])
def test_anything_else_stands_for_itself(value):
    block = RowBlock.of(value)
    assert block.owner is value
    assert block.whole
    assert torch.equal(block.part_of(mask := torch.ones(9)), mask)


def test_the_transpose_is_all_rows():
    block = RowBlock.of(PARAMETER.T)
    assert block.owner is PARAMETER
    assert (block.first, block.rows, block.whole) == (0, len(PARAMETER), True)
