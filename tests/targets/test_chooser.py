"""Choosing channels: small cases by hand, random ones against an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hand_traces import chain, make_trace, mask

from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import TOLERANCE, Target, TargetError, parse_target
from physprune_pl.targets.widths import Widths


def removed_of(masks: list[torch.Tensor]) -> list[list[int]]:
    return [chosen.nonzero().flatten().tolist() for chosen in masks]


def share(chooser: Chooser, masks: list[torch.Tensor], kind: str = "macs") -> float:
    return getattr(chooser.cost_model(masks), kind) / getattr(chooser.cost_model.dense, kind)


# --- target ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["macs", "params", "latency", "threshold"])
def test_reads_a_target(kind):
    assert parse_target({kind: 0.4}) == Target(kind, 0.4)
    assert parse_target(Target(kind, 1)) == Target(kind, 1)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ({}, ValueError, "exactly one of"),
        ({"macs": 0.4, "params": 0.4}, ValueError, "exactly one of"),
        ({"flops": 0.4}, ValueError, r"one of \['macs', 'params', 'latency', 'threshold'\].*'flops'"),
        ({"latency": 0.0}, ValueError, r"target latency: expected a share in \(0, 1\], got 0.0"),
        ({"macs": 0.0}, ValueError, r"target macs: expected a share in \(0, 1\], got 0.0"),
        ({"mac": 0.5}, ValueError, "got 'mac'; did you mean 'macs'"),
        ({"parameters": 0.5}, ValueError, "did you mean 'params'"),
        ({"macs": 1.5}, ValueError, r"got 1.5$"),
        ({"macs": 40}, ValueError, r"got 40; did you mean 0.4\?"),
        ({"macs": float("nan")}, ValueError, r"got nan"),
        ({"macs": "half"}, TypeError, "target macs: expected a number, got 'half'"),
        ({"macs": True}, TypeError, "got True"),
        (0.4, TypeError, "target: expected a mapping such as"),
    ],
)
def test_refuses_a_target(target, error, message):
    with pytest.raises(error, match=message):
        parse_target(target)


# --- costs ----------------------------------------------------------------------------------------------------------


def test_the_weakest_relative_to_their_group_go_first():
    # 1 -> 10 -> 1 and so on: every channel of fc0 costs 1 + 10; strengths / mean: fc0 0.1 .. 1.9, fc1 0.1 .. 1.9 too
    trace = chain([1, 10, 10, 1])
    strengths = [torch.arange(1.0, 11.0), 1000 * torch.arange(1.0, 11.0)]
    chooser = Chooser(trace, Target("macs", (7 + 49 + 7) / 120))
    assert removed_of(chooser.choose(strengths)) == [[0, 1, 2], [0, 1, 2]]


def test_scores_replace_the_relative_strength():
    trace = chain([1, 4, 1])
    chooser = Chooser(trace, Target("macs", 0.5))
    strengths = [torch.tensor([1.0, 2.0, 3.0, 4.0])]
    assert removed_of(chooser.choose(strengths)) == [[0, 1]]
    assert removed_of(chooser.choose(strengths, [-strengths[0]])) == [[2, 3]]


def test_everything_stays_when_all_is_asked_for():
    chooser = Chooser(chain([2, 5, 2]), Target("params", 1.0))
    assert removed_of(chooser.choose([torch.zeros(5)])) == [[]]


def test_ties_go_in_the_order_of_the_channels():
    chooser = Chooser(chain([1, 4, 1]), Target("params", 0.5))
    assert removed_of(chooser.choose([torch.zeros(4)])) == [[0, 1]]


@pytest.mark.parametrize("kind", ["macs", "params"])
@pytest.mark.parametrize("asked", [0.9, 0.5, 0.2, 0.05])
def test_large_networks_stay_on_the_ranking(kind, asked):
    sizes = [3, 40, 64, 32, 100, 10]
    chooser = Chooser(chain(sizes), Target(kind, asked))
    strengths = [torch.rand(size) for size in sizes[1:-1]]
    chosen = chooser.choose(strengths)
    assert asked * (1 - TOLERANCE) <= share(chooser, chosen, kind) <= asked * (1 + TOLERANCE)
    scores = [strength / strength.mean() for strength in strengths]
    gone = torch.cat([score[removed] for score, removed in zip(scores, chosen, strict=True)])
    # the last channel of a group stays whatever its score
    kept = torch.cat([score[~removed].sort().values[:-1] for score, removed in zip(scores, chosen, strict=True)])
    assert gone.max() <= kept.min()


def test_kept_channels_are_a_multiple():
    sizes = [3, 40, 64, 30, 8]
    chooser = Chooser(chain(sizes), Target("macs", 0.4), Widths(round_to=8))
    chosen = chooser.choose([torch.rand(size) for size in sizes[1:-1]])
    for size, removed in zip(sizes[1:-1], chosen, strict=True):
        kept = int((~removed).sum())
        assert kept == size or (kept % 8 == 0 and kept > 0)


def test_a_group_smaller_than_the_multiple_stays():
    # 1 -> 5 -> 24 -> 1 costs 149 of 245
    chooser = Chooser(chain([1, 5, 40, 1]), Target("macs", 149 / 245), Widths(round_to=8))
    chosen = chooser.choose([torch.zeros(5), torch.rand(40)])
    assert [int(removed.sum()) for removed in chosen] == [0, 16]


def test_the_least_share_stays():
    chooser = Chooser(chain([1, 8, 8, 1]), Target("macs", (8 + 24 + 3) / 80), Widths(min_share={".*": 0.3}))
    chosen = chooser.choose([torch.ones(8), torch.ones(8)], [torch.ones(8), torch.zeros(8)])
    assert [int((~removed).sum()) for removed in chosen] == [8, 3]


def test_inexact_groups_are_spared_while_the_target_can_be_met_without():
    # fc0 is inexact and has the lowest scores; 4 -> 20 -> 11 -> 4 costs 344 of 560
    trace = chain([4, 20, 20, 4], inexact=[0])
    strengths, scores = [torch.ones(20)] * 2, [torch.zeros(20), torch.ones(20)]
    spared = Chooser(trace, Target("macs", 344 / 560)).choose(strengths, scores)
    assert [int(removed.sum()) for removed in spared] == [0, 9]
    joined = Chooser(chain([4, 20, 20, 4]), Target("macs", 344 / 560)).choose(strengths, scores)
    assert [int(removed.sum()) for removed in joined] == [9, 0]


def test_inexact_groups_are_cut_where_the_target_cannot_be_met_without():
    trace = chain([4, 20, 20, 4], inexact=[0])
    chooser = Chooser(trace, Target("macs", 0.1))
    chosen = chooser.choose([torch.rand(20), torch.rand(20)])
    assert chosen[0].any()
    assert share(chooser, chosen) == pytest.approx(0.1, rel=TOLERANCE)


def test_an_unreachable_target_names_the_closest():
    # at the least 1 of 4 channels stays
    with pytest.raises(
        TargetError, match=r"macs=0.1 cannot be met within 2%: the closest reachable share is 0.25"
    ) as e:
        Chooser(chain([1, 4, 1]), Target("macs", 0.1)).choose([torch.rand(4)])
    assert e.value.closest == 0.25
    with pytest.raises(TargetError, match=r"share is 0\.75"):
        Chooser(chain([1, 4, 1]), Target("macs", 0.8)).choose([torch.rand(4)])


def test_without_groups_only_the_whole_is_reachable():
    trace = make_trace([], {"w": (3, 2)}, [])
    assert Chooser(trace, Target("params", 1.0)).choose([]) == []
    with pytest.raises(TargetError, match="share is 1 "):
        Chooser(trace, Target("params", 0.5)).choose([])


def all_levels(sizes: list[int], share: float, round_to: int | None) -> list[tuple[int, ...]]:
    """Every reachable tuple of numbers of kept channels, by definition."""
    step = round_to or 1
    kept = [[n for n in range(1, size + 1) if n == size or (n % step == 0 and n >= share * size)] for size in sizes]
    return list(itertools.product(*kept))


@pytest.mark.parametrize("seed", range(40))
def test_finds_what_an_exhaustive_search_finds(seed):
    draw = np.random.default_rng(seed)
    sizes = draw.integers(2, 9, size=draw.integers(1, 4)).tolist()
    inexact = [i for i in range(len(sizes)) if draw.random() < 0.3]
    share, round_to = [0.01, 0.3, 0.6][draw.integers(3)], [None, 2, 3][draw.integers(3)]
    asked = float(draw.uniform(0.02, 1))
    trace = chain([3, *sizes, 2], inexact)
    chooser = Chooser(trace, Target("macs", asked), Widths(round_to, min_share={".*": share}))
    strengths = [torch.from_numpy(draw.random(size)) for size in sizes]

    def macs(kept: tuple[int, ...]) -> float:
        widths = [3, *kept, 2]
        return sum(a * b for a, b in itertools.pairwise(widths)) / chooser.cost_model.dense.macs

    states = all_levels(sizes, share, round_to)
    gentle = [s for s in states if all(s[i] == sizes[i] for i in inexact)]
    fits = [s for s in states if abs(macs(s) - asked) <= TOLERANCE * asked]
    if not fits:
        with pytest.raises(TargetError) as error:
            chooser.choose(strengths)
        assert abs(error.value.closest - asked) == pytest.approx(min(abs(macs(s) - asked) for s in states))
        return
    chosen = chooser.choose(strengths)
    kept = tuple(int((~removed).sum()) for removed in chosen)
    assert kept in fits
    # without an exact group there is no gentler way
    if len(inexact) < len(sizes) and set(gentle) & set(fits):
        assert kept in gentle
    for strength, removed in zip(strengths, chosen, strict=True):
        assert not removed.any() or strength[removed].max() <= strength[~removed].min()


# --- threshold ------------------------------------------------------------------------------------------------------


def test_a_threshold_cuts_what_is_weaker_than_a_share_of_the_strongest():
    strengths = [torch.tensor([1.0, 0.05, 10.0, 0.0]), torch.tensor([0.3, 0.1, 0.011, 0.2, 0.0])]
    chooser = Chooser(chain([1, 4, 5, 1], inexact=[1]), Target("threshold", 0.1))
    assert removed_of(chooser.choose(strengths)) == [[1, 3], [2, 4]]
    assert removed_of(chooser.choose(strengths, [-strength for strength in strengths])) == [[1, 3], [2, 4]]


def test_a_threshold_keeps_at_least_and_multiples():
    strengths = [torch.tensor([0.01, 0.02, 0.03, 0.04, 1.0, 0.05])]
    trace = chain([1, 6, 1])
    assert removed_of(Chooser(trace, Target("threshold", 0.5)).choose(strengths)) == [[0, 1, 2, 3, 5]]
    assert removed_of(Chooser(trace, Target("threshold", 0.5), Widths(min_share={".*": 0.3})).choose(strengths)) == [
        [0, 1, 2, 3]
    ]
    assert removed_of(Chooser(trace, Target("threshold", 0.045), Widths(round_to=4)).choose(strengths)) == [[0, 1]]
    assert removed_of(Chooser(trace, Target("threshold", 0.015), Widths(round_to=4)).choose(strengths)) == [[]]


def test_a_threshold_leaves_a_dead_group():
    assert removed_of(Chooser(chain([1, 3, 1]), Target("threshold", 0.5)).choose([torch.zeros(3)])) == [[]]


# --- arguments ------------------------------------------------------------------------------------------------------


def test_strengths_must_fit_and_be_finite():
    chooser = Chooser(chain([1, 4, 1]), Target("macs", 0.5))
    with pytest.raises(ValueError, match=r"strengths: expected shapes \[\(4,\)\], got \[\(3,\)\]"):
        chooser.choose([torch.rand(3)])
    with pytest.raises(ValueError, match=r"scores: expected shapes \[\(4,\)\], got \[\]"):
        chooser.choose([torch.rand(4)], [])
    with pytest.raises(ValueError, match="strengths of group 'fc0': expected finite numbers"):
        chooser.choose([torch.tensor([1.0, float("nan"), 0.0, 0.0])])


def test_a_share_of_nothing_is_refused():
    trace = make_trace([], {"w": (3, 2)}, [])
    with pytest.raises(ValueError, match="target macs: the traced model has none"):
        Chooser(trace, Target("macs", 0.5))


def test_masks_are_boolean_and_fit_the_groups():
    (chosen,) = Chooser(chain([1, 4, 1]), Target("macs", 0.5)).choose([torch.rand(4, requires_grad=True)])
    assert chosen.dtype == torch.bool
    assert chosen.shape == mask(4).shape
