import numpy as np
import pytest
import torch

from physprune_pl.probing.sizes.sizes import SizeUse
from physprune_pl.probing.sizes.widths import WidthUse
from physprune_pl.tracing.evidence.components import SlotSpace
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.evidence.in_step import in_step

A, B = ("a.weight", 0), ("b.weight", 0)


def joined(roots, sizes, widths=(), remembered=(), sources=(A, B)):
    """Return what in_step makes of the roots of two axes, one after the other."""
    evidence = Evidence(sizes=dict(zip((A, B), sizes, strict=True)), sources=dict.fromkeys(sources))
    evidence.widths += widths
    evidence.remembered += remembered
    return in_step(evidence, SlotSpace.of(evidence.sizes), np.array(roots)).tolist()


@pytest.mark.parametrize(
    ("roots", "sizes", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], (4, 4), [0, 1, 2, 3, 0, 1, 2, 3]),
        ([0, 1, 2, 3, 4, 4, 6, 6], (4, 4), [0, 0, 2, 2, 0, 0, 2, 2]),
        ([0, 1, 2, 3, 4, 5, 4, 5], (4, 4), [0, 0, 2, 2, 0, 2, 0, 2]),
        ([0, 1, 2, 3, 3, 2, 1, 0], (4, 4), [0, 1, 2, 3, 3, 2, 1, 0]),
        ([0, 1, 2, 3, 0, 1, 6, 7], (4, 4), [0, 1, 2, 3, 0, 1, 2, 3]),
        ([0, 1, 2, 3, 4, 5], (4, 2), [0, 0, 2, 2, 0, 2]),
        ([0, 1, 2, 3, 4, 5], (2, 4), [0, 1, 0, 0, 1, 1]),
    ],
    ids=[
        "one by one",
        "by head",
        "by head, channels last",
        "the same in another order",
        "half the same",
        "1 : 2",
        "2 : 1",
    ],
)
def test_channels_of_axes_of_one_width_go_share_by_share(roots, sizes, expected):
    everything = torch.arange(sizes[1])
    assert joined(roots, sizes, widths=[WidthUse(A, B, everything)]) == expected


def test_what_nothing_makes_holds_no_channels():
    use = WidthUse(A, B, torch.arange(2))
    assert joined([0, 1, 2, 3], (2, 2), widths=[use], sources=(A,)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("roots", "unit", "expected"),
    [
        ([0, 1, 2, 3], [0, 1], [0, 1, 0, 1]),
        ([0, 1, 1, 0], [0, 1], [0, 1, 1, 0]),
        ([0, 0, 2, 3], [0, 1], [0, 0, 2, 3]),
    ],
    ids=["each with its partner", "the same in another order", "one channel in all things"],
)
def test_what_one_number_counts_in_two_places_goes_together(roots, unit, expected):
    uses = [SizeUse("n", 2, family, torch.tensor(unit)) for family in (A, B)]
    assert joined(roots, (2, 2), remembered=uses) == expected
