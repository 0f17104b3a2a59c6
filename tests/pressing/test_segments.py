"""Sums over groups against plain loops."""

import pytest
import torch

from physprune_pl.pressing.segments import Segments


@pytest.mark.parametrize("sizes", [(3,), (1, 4, 2), (5, 1, 1, 5)])
def test_sums_and_spread_equal_loops(sizes):
    ends = torch.tensor(sizes).cumsum(0).tolist()
    places = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    values, figures = torch.randn(sum(sizes), dtype=torch.float64), torch.randn(len(sizes), dtype=torch.float64)
    segments = Segments(places)
    torch.testing.assert_close(segments.sums(values), torch.stack([values[place].sum() for place in places]))
    expected = [float(figure) for figure, size in zip(figures, sizes, strict=True) for _ in range(size)]
    assert segments.spread(figures).tolist() == expected
