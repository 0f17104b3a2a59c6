import pytest
import reference

from physprune_pl.schedules import SCHEDULES, Constant, Linear, Schedule, resolve_schedule

TABLE = [  # name, start, progress, factor by hand
    ("constant", 0.0, 0.0, 1.0),
    ("constant", 0.2, 0.1, 0.0),
    ("constant", 0.2, 0.2, 1.0),
    ("linear", 0.0, 0.25, 0.25),
    ("linear", 0.5, 0.75, 0.5),
    ("cosine", 0.0, 0.5, 0.5),
    ("cosine", 0.2, 0.4, 0.1464466),
    ("cubic", 0.0, 0.5, 0.875),
    ("cubic", 0.5, 0.75, 0.875),
]


@pytest.mark.parametrize(("name", "start", "progress", "by_hand"), TABLE)
def test_schedule_equals_hand_and_twin(name, start, progress, by_hand):
    factor = SCHEDULES[name](start=start)(progress)
    assert factor == pytest.approx(by_hand, abs=1e-6)
    assert factor == pytest.approx(reference.schedule(name, progress, start))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("start", [0.0, 0.3, 0.999])
def test_every_schedule_grows_from_nothing_to_one(name, start):
    schedule = SCHEDULES[name](start=start)
    factors = [schedule(step / 100) for step in range(101)]
    assert factors == sorted(factors)
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(factor == 0 for step, factor in enumerate(factors) if step / 100 < start)
    assert factors[-1] == pytest.approx(1)


def test_none_is_constant_and_names_and_functions_pass():
    assert resolve_schedule(None) == Constant() == resolve_schedule("constant")
    assert resolve_schedule(Linear(start=0.1)) == Linear(start=0.1)
    assert resolve_schedule(lambda progress: progress**2)(0.5) == 0.25


def test_own_schedule_needs_one_method():
    class Square(Schedule):
        def ramp(self, share):
            return share**2

    assert resolve_schedule(Square(start=0.5))(0.75) == 0.25


@pytest.mark.parametrize("start", [-0.1, 1.0, float("nan")])
def test_start_out_of_range_is_an_error(start):
    with pytest.raises(ValueError, match="start: expected a share of the phase"):
        Linear(start=start)


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_out_of_range_is_an_error(progress):
    with pytest.raises(ValueError, match="progress: expected a share of the phase from 0 to 1"):
        Linear()(progress)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"schedule.*'constant', 'cosine', 'cubic', 'linear'.*'square'"):
        resolve_schedule("square")
    for bad in (Linear, 0.5):
        with pytest.raises(TypeError, match="schedule: expected a name, a Schedule object or a function"):
            resolve_schedule(bad)
