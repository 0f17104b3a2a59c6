"""What goes on the way to a target leaves the target within reach."""

import math

import pytest
import torch
from hand_traces import chain

from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.on_the_way import OnTheWay
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths


def choosers(trace, end, share, gone=None, widths=None):
    last = Chooser(trace, Target("macs", end), widths or Widths(), gone=gone)
    parts = (trace, Target("macs", share), last.widths)
    return last, OnTheWay(*parts, gone=gone, tolerance=math.inf, end=last)


def left(chooser, removed):
    return chooser.cost_model(removed).macs / chooser.cost_model.dense.macs


@pytest.mark.parametrize("round_to", [None, 2])
@pytest.mark.parametrize("sizes", [[3, 6, 4, 2], [4, 8, 6, 3], [3, 6, 6, 6, 2]])
@pytest.mark.parametrize("inexact", [(), (1,)])
def test_a_target_stays_within_reach_whatever_the_ranking_becomes(sizes, inexact, round_to):
    trace, generator, met = chain(sizes, inexact), torch.Generator().manual_seed(0), 0
    for end in (0.3 + 0.02 * step for step in range(20)):
        for _ in range(3):
            gone, widths = None, Widths(round_to=round_to)
            try:
                for share in (end ** (1 / 3), end ** (2 / 3)):
                    strengths = [torch.rand(group.size, generator=generator) for group in trace.groups]
                    last, on_the_way = choosers(trace, end, share, gone, widths)
                    taken, first = last.choose(strengths), on_the_way.choose(strengths)
                    assert all(bool((one <= other).all()) for one, other in zip(first, taken, strict=True))
                    assert left(last, first) <= share or all(map(torch.equal, first, taken))
                    gone = first
            except TargetError:
                assert gone is None, "out of reach after something has gone"
                continue
            met += 1
            strengths = [torch.rand(group.size, generator=generator) for group in trace.groups]
            ended = choosers(trace, end, end, gone, widths)[0]
            assert left(ended, ended.choose(strengths)) == pytest.approx(end, rel=0.02)
    assert met


def test_scores_rank_what_goes_first():
    trace = chain([3, 4, 2])
    strengths = [torch.tensor([1.0, 2.0, 3.0, 4.0][: group.size]) for group in trace.groups]
    last, on_the_way = choosers(trace, 0.5, 0.75)
    assert [mask.tolist() for mask in on_the_way.choose(strengths)] == [[True, False, False, False]]
    scores = [-one for one in strengths]
    assert [mask.tolist() for mask in on_the_way.choose(strengths, scores)] == [[False, False, False, True]]
    assert [int(mask.sum()) for mask in last.choose(strengths, scores)] == [2]


def test_a_target_that_cannot_be_met_is_named_before_anything_goes():
    trace = chain([3, 2, 2])
    with pytest.raises(TargetError, match=r"target macs=0\.7 cannot be met"):
        choosers(trace, 0.7, 0.9)[1].choose([torch.ones(group.size) for group in trace.groups])
