"""When channels go: waves that end where they should, with what they should."""

import math

import pytest

from physprune_pl.removals import FEWEST_EPOCHS, MOST_WAVES, REMOVALS, Gradual, Once, resolve_removal


@pytest.mark.parametrize("curve", ["geometric", "linear"])
@pytest.mark.parametrize("until", [0.1, 0.4, 0.99])
@pytest.mark.parametrize("waves", [1, 4, MOST_WAVES])
@pytest.mark.parametrize("epochs", [3, 7, 40])
def test_waves_have_epochs_of_their_own_and_leave_less_and_less(epochs, waves, until, curve):
    goals = Gradual(waves, until, curve).goals(epochs, 0.3)
    ends, shares = [goal.end for goal in goals], [goal.share for goal in goals]
    assert 1 <= len(goals) <= waves
    assert ends == sorted(set(ends))
    assert ends[0] > 0
    assert ends[-1] == max(1, int(until * epochs)) < epochs
    assert shares == sorted(shares, reverse=True)
    assert shares[0] < 1
    assert math.isclose(shares[-1], 0.3)
    lengths = [after - before for before, after in zip([0, *ends], ends, strict=False)]
    assert max(lengths) - min(lengths) <= 1


def test_a_curve_is_a_factor_or_an_amount():
    factors = [goal.share for goal in Gradual(3, 0.9, "geometric").goals(30, 0.125)]
    assert factors == pytest.approx([0.5, 0.25, 0.125])
    assert [goal.share for goal in Gradual(2, 0.9, "linear").goals(30, 0.5)] == pytest.approx([0.75, 0.5])


@pytest.mark.parametrize("epochs", range(FEWEST_EPOCHS))
def test_a_short_phase_has_no_waves(epochs):
    assert Gradual().goals(epochs, 0.5) == ()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"waves": 0}, ValueError, "from 1 to 8, got 0"),
        ({"waves": 9}, ValueError, "from 1 to 8, got 9"),
        ({"waves": 2.0}, TypeError, "whole number, got 2.0"),
        ({"until": 0}, ValueError, "0 < until < 1, got 0"),
        ({"until": 1.0}, ValueError, "0 < until < 1, got 1.0"),
        ({"until": "half"}, TypeError, "a number, got 'half'"),
        ({"curve": "line"}, ValueError, "linear"),
    ],
)
def test_arguments_outside_their_range_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Gradual(**arguments)


def test_removals_have_names():
    assert {name: type(resolve_removal(name)) for name in REMOVALS} == {"once": Once, "gradual": Gradual}
    assert resolve_removal(Gradual(2)) == Gradual(2)
    with pytest.raises(ValueError, match="gradual"):
        resolve_removal("gradul")
    with pytest.raises(TypeError, match="removal: expected a name or a Removal"):
        resolve_removal(None)
