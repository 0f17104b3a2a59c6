"""How many channels may stay: limits on their own, against an enumeration, and through plans."""

from __future__ import annotations

import itertools

import pytest
import torch
from hand_traces import chain, part
from torch import nn

from physprune_pl.planning import plan_pruning
from physprune_pl.structure import ChannelGroup, LeftWhole
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Preferred, Widths

WHOLE = (LeftWhole("head.last", "its channels reach the output"),)


def group(name: str, size: int, *modules: str) -> ChannelGroup:
    return ChannelGroup(name, size, tuple(part(f"{module}.weight", 0, size, "filter") for module in modules))


GROUPS = [group("stem", 10, "stem", "layer1.0.out"), group("layer1.0.inner#2", 8, "layer1.0.inner")]


def kept(widths: Widths, needed: int = 1) -> list[list[int]]:
    steps = widths.removable(GROUPS, [needed] * len(GROUPS), WHOLE)
    return [(group.size - step).tolist() for group, step in zip(GROUPS, steps, strict=True)]


ALL = [list(range(10, 0, -1)), list(range(8, 0, -1))]


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        (Widths(), ALL),
        (Widths(round_to=4), [[10, 8, 4], [8, 4]]),
        (Widths(round_to=16), [[10], [8]]),
        (Widths(min_share={"stem": 0.7}), [[10, 9, 8, 7], ALL[1]]),
        (Widths(min_share={"stem": 0.71}), [[10, 9, 8], ALL[1]]),
        (Widths(min_share={"stem": 1}), [[10], ALL[1]]),
        (Widths(max_share={"stem": 0.3}), [[3, 2, 1], ALL[1]]),
        (Widths(max_share={"stem": 0.39}), [[3, 2, 1], ALL[1]]),
        (Widths(max_share={"stem": 1.0}), ALL),
        (Widths(round_to=4, max_share={"stem": 0.9}), [[8, 4], [8, 4]]),
        (Widths(round_to=4, min_share={"layer1.0.inner": 0.9}), [[10, 8, 4], [8]]),
        # a producer, a module around it, an expression for either, and a group that has a number
        (Widths(min_share={"layer1.0.out": 0.9}), [[10, 9], ALL[1]]),
        (Widths(min_share={"layer1": 0.9}), [[10, 9], [8]]),
        (Widths(min_share={r"layer\d": 0.9}), [[10, 9], [8]]),
        (Widths(min_share={r".*inner": 0.9}), [ALL[0], [8]]),
        (Widths(min_share={"layer1.0.inner": 0.9}), [ALL[0], [8]]),
        # all of several patterns
        (Widths(min_share={"stem": 0.5, "layer1": 0.8}, max_share={".*": 0.9}), [[9, 8], [7]]),
        # what is not pruned keeps its share
        (Widths(min_share={"head": 0.5}), ALL),
    ],
)
def test_the_numbers_that_may_stay(widths, expected):
    assert kept(widths) == expected


def test_what_tensors_need_stays():
    assert kept(Widths(max_share={"stem": 0.5}), needed=4) == [[5, 4], [8, 7, 6, 5, 4]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"round_to": 0}, ValueError, "round_to: expected a whole number of at least 1, got 0"),
        ({"round_to": 2.0}, ValueError, "round_to: expected a whole number of at least 1, got 2.0"),
        ({"min_share": 0.5}, TypeError, "min_share: expected a mapping such as .* got 0.5"),
        ({"min_share": {"stem": 0}}, ValueError, r"min_share of 'stem': expected a share in \(0, 1\], got 0"),
        ({"max_share": {"stem": 1.5}}, ValueError, r"max_share of 'stem': expected a share in \(0, 1\], got 1.5"),
        ({"max_share": {"stem": "half"}}, TypeError, "max_share of 'stem': expected a number, got 'half'"),
        ({"max_share": {"(": 0.5}}, ValueError, "max_share: expected a name or a regular expression, got '\\('"),
        ({"max_share": {3: 0.5}}, ValueError, "max_share: expected a name or a regular expression, got 3"),
    ],
)
def test_bad_limits_are_named(options, error, message):
    with pytest.raises(error, match=message):
        Widths(**options)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (Widths(min_share={"layer9": 0.5}), "min_share: expected names .* got 'layer9'"),
        (Widths(max_share={"layer9": 0.5}), "max_share: expected names .* got 'layer9'"),
        (Widths(max_share={"head": 0.5}), "max_share: 'head' cannot be cut, head.last is not pruned: its channels"),
        (Widths(min_share={"stem": 0.6}, max_share={".*": 0.5}), "'stem' of 10 channels: no number .* 6, at most 5"),
        (Widths(max_share={"stem": 0.05}), "'stem' of 10 channels: no number of channels to keep .* at most 0"),
        (Widths(round_to=4, max_share={"stem": 0.3}), "at most 3 and is a multiple of round_to=4"),
    ],
)
def test_limits_that_nothing_obeys_are_refused(widths, message):
    with pytest.raises(ValueError, match=message):
        kept(widths)


SIZES = [2, 6, 8, 5, 3]


def enumerated(widths: Widths) -> list[float]:
    """Share of the MACs of every allowed combination of widths."""
    trace = chain(SIZES)
    steps = widths.removable(trace.groups, [1] * 3, ())
    dense = sum(one * two for one, two in itertools.pairwise(SIZES))
    inner = itertools.product(*((size - step).tolist() for size, step in zip(SIZES[1:-1], steps, strict=True)))
    return [sum(a * b for a, b in itertools.pairwise([SIZES[0], *some, SIZES[-1]])) / dense for some in inner]


@pytest.mark.parametrize("asked", [0.9, 0.6, 0.4, 0.2, 0.1])
@pytest.mark.parametrize(
    "widths",
    [
        Widths(min_share={"fc1": 0.5}),
        Widths(max_share={"fc0": 0.5, "fc2": 0.8}),
        Widths(round_to=2, min_share={"fc0": 0.4}, max_share={"fc1": 0.75}),
    ],
)
def test_a_target_is_met_within_the_limits_or_the_closest_share_is_named(asked, widths):
    chooser = Chooser(chain(SIZES), Target("macs", asked), widths)
    shares = enumerated(widths)
    closest = min(shares, key=lambda share: abs(share - asked))
    strengths = [torch.rand(size) for size in SIZES[1:-1]]
    if abs(closest - asked) > 0.02 * asked:
        with pytest.raises(TargetError) as caught:
            chooser.choose(strengths)
        assert caught.value.closest == pytest.approx(closest)
        return
    removed = chooser.choose(strengths)
    share = chooser.cost_model(removed).macs / chooser.cost_model.dense.macs
    assert share == pytest.approx(asked, rel=0.02)
    counts = [int(gone.sum()) for gone in removed]
    assert all(
        count in step for count, step in zip(counts, widths.removable(chooser.trace.groups, [1] * 3, ()), strict=True)
    )


def test_a_threshold_obeys_the_limits():
    strengths = [torch.tensor([1.0, 2.0, 3.0, 10.0])]

    def gone(share: float, widths: Widths) -> list[int]:
        chooser = Chooser(chain([1, 4, 1]), Target("threshold", share), widths)
        return chooser.choose(strengths)[0].nonzero().flatten().tolist()

    assert gone(0.5, Widths(min_share={"fc0": 0.5})) == [0, 1]
    assert gone(0.01, Widths(max_share={"fc0": 0.5})) == [0, 1]
    assert gone(0.5, Widths(max_share={"fc0": 0.5})) == [0, 1, 2]


def test_plans_obey_the_limits():
    model = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 4))
    plan = plan_pruning(model, torch.zeros(1, 4), {"macs": 0.5}, min_share={"0": 0.9}, max_share={"2": 0.6})
    after = {cut.name: cut.after for cut in plan.groups}
    assert after["0"] >= 18
    assert after["2"] <= 12
    with pytest.raises(ValueError, match=r"min_share: .* got 'layer4'"):
        plan_pruning(model, torch.zeros(1, 4), {"macs": 0.5}, min_share={"layer4": 0.9})


# --- the multiple that a device likes -------------------------------------------------------------------------------


def stays(size: int, widths: Widths) -> list[int]:
    return (size - widths.removable([ChannelGroup("g", size, ())], [1], ())[0]).tolist()


@pytest.mark.parametrize(
    ("size", "numbers"),
    [
        (20, [20, 16, 8]),
        (16, [16, 8]),
        (8, [8, 4]),  # too small for eights: fours
        (12, [12, 8]),
        (3, [3, 2]),
        (1, [1]),
    ],
)
def test_a_preferred_multiple_gives_way_in_small_groups(size, numbers):
    assert stays(size, Widths(round_to=Preferred(8))) == numbers


def test_a_preferred_multiple_gives_way_to_limits():
    assert stays(20, Widths(round_to=Preferred(8), max_share={"g": 0.35})) == [4]
    assert stays(20, Widths(round_to=Preferred(8), max_share={"g": 0.35}, min_share={"g": 0.35})) == [7]
    assert stays(20, Widths(round_to=Preferred(8), min_share={"g": 0.9})) == [20, 18]


def test_auto_becomes_a_multiple_only_where_it_is_asked_for():
    assert Widths(round_to="auto").resolved(lambda: 4) == Widths(round_to=Preferred(4))
    assert Widths(round_to=3).resolved(lambda: pytest.fail("nobody asked")) == Widths(round_to=3)
    with pytest.raises(ValueError, match='expected a number by now, got "auto"'):
        stays(8, Widths(round_to="auto"))


@pytest.mark.parametrize("value", ["eight", Preferred(0)])
def test_refuses_another_word(value):
    with pytest.raises(ValueError, match="round_to: expected a whole number of at least 1"):
        Widths(round_to=value)
