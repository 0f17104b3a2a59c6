"""Steering by itself, on channels that a simulated optimizer shrinks by exactly what it is asked for."""

import math
from collections.abc import Sequence

import pytest
import torch
from read_back import NothingReadBack
from steered import SEGMENTS, SIZES, start, steering
from torch import Tensor

from experiments.steering.variants import LeavesBehind
from physprune_pl.pressing.importance import RunningMean
from physprune_pl.pressing.segments import Segments
from physprune_pl.pressing.steering import ARRIVAL, ARRIVED, FREEZE, HELD, REST, WAIT, Steering
from physprune_pl.targets.target import TargetError


def run(
    steered: Steering,
    steps: int,
    rates: Sequence[float] | None = None,
    resistance: float = 0.0,
    law: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Shrink strengths by pressure x rate, while the task pulls every channel back by a share of what is missing."""
    first = strengths = start()
    law = torch.ones_like(strengths) if law is None else law
    history = []
    for step in range(steps):
        rate = 0.1 if rates is None else rates[step]
        steered.update(step / steps, rate, strengths, law)
        strengths = strengths - rate * steered.pressure(strengths, law)
        strengths = strengths + resistance / steps * (first - strengths) * strengths
        history.append(strengths.clone())
    return strengths, history


@pytest.mark.parametrize("steps", [60, 300, 900])
@pytest.mark.parametrize("resistance", [0.0, 3.0])
def test_chosen_channels_arrive_and_the_others_feel_nothing(steps: int, resistance: float) -> None:
    steered = steering()
    strengths, history = run(steered, steps, resistance=resistance)
    assert all(one.arrived for one in steered.arrivals(strengths))
    assert steered.chosen.any()
    assert torch.equal(strengths[~steered.chosen], start()[~steered.chosen])
    early = history[int(0.2 * steps)][steered.chosen].mean() / start()[steered.chosen].mean()
    assert early > 0.4, "arriving is spread over the phase"
    late = history[int(0.85 * steps)][steered.chosen].mean() / start()[steered.chosen].mean()
    assert late <= 3 * ARRIVED


def test_a_falling_learning_rate_and_a_warm_up_change_little() -> None:
    steps = 400
    cosine = [0.05 * (1 + torch.cos(torch.tensor(3.14159 * k / steps)).item()) for k in range(steps)]
    warm = [min(1.0, (k + 1) / 40) * rate for k, rate in enumerate(cosine)]
    for rates in (cosine, warm):
        strengths, _ = run(steered := steering(), steps, rates, resistance=1.0)
        assert all(one.arrived for one in steered.arrivals(strengths))


def test_no_step_takes_more_than_half_of_a_strength() -> None:
    _, history = run(steering(), 50)
    for before, after in zip([start(), *history], history, strict=False):
        assert (after >= before / 2 - 1e-6).all()


def test_the_set_is_frozen_after_half_of_the_phase_and_meets_the_target() -> None:
    steered = steering()
    strengths = start()
    law = torch.ones_like(strengths)
    steered.update(0.0, 0.1, strengths, law)
    first = steered.chosen.clone()
    steered.update(FREEZE - 0.1, 0.1, strengths.flip(0), law)
    moved = steered.chosen.clone()
    steered.update(FREEZE + 0.1, 0.1, strengths, law)
    assert not torch.equal(first, moved)
    assert torch.equal(steered.chosen, moved)
    cost = steered.chooser.cost_model(steered.removed())
    assert abs(cost.params / steered.chooser.cost_model.dense.params - 0.5) <= 0.01


def test_the_line_falls_from_one_to_zero_at_the_arrival() -> None:
    steered = steering()
    assert steered._line(0.0) == 1.0
    assert steered._line(ARRIVAL / 2) == pytest.approx(0.5)
    assert steered._line(ARRIVAL) == steered._line(1.0) == 0.0


def test_the_law_picks_its_own_channels_with_the_strengths_shares() -> None:
    law = torch.cat([torch.arange(24.0), torch.arange(30.0)])
    by_strength, by_law = steering(), steering(select="law")
    for steered in (by_strength, by_law):
        steered.update(0.0, 0.1, start(), law)
    for segment in SEGMENTS:
        count = int(by_law.chosen[segment].sum())
        assert count == int(by_strength.chosen[segment].sum())
        assert by_law.chosen[segment][-count:].all(), "the channels with the largest coefficients"


@pytest.mark.parametrize(("horizon", "progress"), [(1, 0.0), (100, WAIT)])
def test_gradients_choose_once_there_are_enough_of_them(horizon: float, progress: float) -> None:
    mean = RunningMean({"one": SIZES[0], "two": SIZES[1]}, int(horizon))
    steered, law = steering(select="taylor", importance=mean), torch.ones(sum(SIZES))
    steered.update(0.0, 0.1, start(), law)
    assert steered.start is None, "nothing is known yet"
    assert not steered.displacement(start(), law).any()
    told = torch.cat([torch.arange(24.0), torch.arange(30.0)]) + 1.0
    mean.add(told, torch.ones(sum(SIZES), dtype=torch.bool))
    steered.update(0.9 * progress, 0.1, start(), law)
    assert (steered.start is None) == (horizon > 1)
    steered.update(progress, 0.1, start(), law)
    assert steered.began == pytest.approx(progress)
    for segment in SEGMENTS:
        count = int(steered.chosen[segment].sum())
        assert 0 < count < len(steered.chosen[segment])
        assert steered.chosen[segment][:count].all(), "the channels that the loss misses least"


def test_channels_at_rest_are_pressed_no_further() -> None:
    steered, law = steering(), torch.ones(sum(SIZES))
    steered.update(0.0, 0.1, start(), law)
    steered.update(0.5, 0.1, start(), law)
    assert steered.start is not None
    least = REST * Segments(SEGMENTS).spread(steered.start).float()
    for share, pressed in ((0.9, 0), (1.1, int(steered.chosen.sum()))):
        strengths = torch.where(steered.chosen, share * least, start())
        assert int((steered.displacement(strengths, law) > 0).sum()) == pressed
        assert int((steered.kept(strengths, law) < 1).sum()) == pressed


def test_what_is_left_of_the_pressed_is_far_from_the_end_of_the_range_of_numbers() -> None:
    """Products of three such weights, of filter, scale and consumer, and a gradient are normal numbers still."""
    steered = steering()
    strengths, _ = run(steered, 900)
    left = strengths[steered.chosen]
    assert left.max() <= 2 * REST * start().max()
    assert (left**3 * 1e-6).min() > torch.finfo(torch.float32).tiny


def held(steered: Steering, steps: int, channel: int, pull: float) -> Tensor:
    """Shrink strengths at a falling rate while the task, once the set is frozen, pulls one of the channels back."""
    strengths, law = start(), torch.ones(sum(SIZES))
    for step in range(steps):
        rate = 0.05 * (1 + math.cos(math.pi * step / steps))
        steered.update(step / steps, rate, strengths, law)
        strengths = strengths - rate * steered.pressure(strengths, law)
        strengths[channel] += rate * pull if step >= FREEZE * steps else 0.0
    return strengths


def test_a_channel_that_the_task_holds_on_to_arrives_after_the_others() -> None:
    """Their mean is nearly at zero by then, so that the speed of the group rises no more."""
    channel = int(start()[:24].argmin())
    steered, left_behind = steering(), LeavesBehind(steering().chooser, SEGMENTS)
    strengths, others = (held(one, 1500, channel, 0.05) for one in (steered, left_behind))
    assert steered.chosen[channel]
    assert left_behind.chosen[channel]
    assert strengths[channel] < ARRIVED < 0.03 < others[channel]


def test_between_decisions_nothing_is_read_back() -> None:
    steered, law = steering(), torch.ones(sum(SIZES))
    steered.update(0.0, 0.1, start(), law)
    steered.update(0.001, 0.1, start(), law)
    with NothingReadBack():
        steered.update(0.002, 0.1, start(), law)
        pressure = steered.pressure(start(), law)
        steered.kept(start(), law)
    assert pressure.any()


def test_kept_and_pressure_say_the_same() -> None:
    steered, law = steering(), torch.ones(sum(SIZES))
    strengths, _ = run(steered, 100)
    moved = steered.displacement(strengths, law)
    assert torch.allclose(steered.kept(strengths, law) * strengths, strengths - moved)
    assert torch.allclose(steered.pressure(strengths, law) * 0.1, moved)
    assert steered.kept(torch.zeros_like(strengths), law).tolist() == [1.0] * sum(SIZES)


def test_the_whole_state_survives() -> None:
    one, two = steering(), steering()
    strengths, _ = run(one, 30)
    two.load_state_dict(one.state_dict())
    law = torch.ones_like(strengths)
    for steered in (one, two):
        steered.update(0.99, 0.01, strengths, law)
    state, other = one.state_dict(), two.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(torch.as_tensor(state[key]), torch.as_tensor(other[key])) for key in state)
    assert torch.equal(one.pressure(strengths, law), two.pressure(strengths, law))


def kicked(steered: Steering, steps: int, kick: float, obeyed: bool) -> Tensor:
    """Shrink strengths by the shares that are kept; every step adds the same to all, as steps by signs do."""
    strengths, law = start(), torch.ones(sum(SIZES))
    for step in range(steps):
        steered.update(step / steps, 0.1, strengths, law)
        keep, limit = steered.kept(strengths, law), steered.limit(strengths, law)
        strengths = keep * (strengths + kick)
        if limit is not None and obeyed:
            strengths = torch.minimum(strengths, limit)
    return strengths


@pytest.mark.parametrize("steps", [60, 300])
def test_channels_that_every_step_moves_away_from_zero_arrive_by_the_limit(steps: int) -> None:
    steered = steering()
    strengths = kicked(steered, steps, 0.05, obeyed=True)
    assert all(one.arrived for one in steered.arrivals(strengths))
    assert strengths[~steered.chosen].min() > 1.0
    without = steering()
    assert not any(one.arrived for one in without.arrivals(kicked(without, steps, 0.05, obeyed=False)))


def test_there_is_no_limit_before_the_end_and_none_where_all_arrive_by_themselves() -> None:
    steered, law = steering(), torch.ones(sum(SIZES))
    for progress in (0.0, ARRIVAL, HELD - 0.01):
        steered.update(progress, 0.1, start(), law)
        assert steered.limit(start(), law) is None
    arrived = torch.where(steered.chosen, 0.0, start())
    steered.update(HELD, 0.1, arrived, law)
    assert steered.limit(arrived, law) is None
    steered.update(0.9, 0.1, start(), law)
    limit = steered.limit(start(), law, 0.5)
    assert limit is not None
    assert limit[~steered.chosen].isinf().all()
    expected = start() - 0.5 * steered.displacement(start(), law)
    torch.testing.assert_close(limit[steered.chosen], expected[steered.chosen])
    steered.update(0.95, 0.1, arrived, law)
    assert steered.limit(arrived, law) is not None, "what was held once is held to the end"


def test_a_state_from_before_there_were_limits_has_none() -> None:
    steered = steering()
    run(steered, 10)
    state = steered.state_dict()
    state.pop("holds")
    steered.load_state_dict(state)
    assert not steered.holds


def test_before_its_first_step_it_presses_nothing() -> None:
    steered, strengths = steering(), start()
    assert not steered.pressure(strengths, strengths).any()
    assert not steered.displacement(strengths, strengths).any()
    assert not steered.coefficients().any()


def test_an_unreachable_target_says_so() -> None:
    with pytest.raises(TargetError, match="closest reachable share"):
        steering(0.001).update(0.0, 0.1, start(), torch.ones(sum(SIZES)))
