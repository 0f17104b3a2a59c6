import math
import pickle
from dataclasses import dataclass, replace

import pytest
import reference
import torch

from physprune_pl.channels import Channels
from physprune_pl.distances import DISTANCES, resolve_distance
from physprune_pl.forces import (
    FORCES,
    Electrostatic,
    ExponentialTorque,
    ForceLaw,
    Gravity,
    LinearTorque,
    Uniform,
    coefficients,
    resolve_force,
)


def etp_code(q, d, pivot, e):
    return [c / len(q) for c in reference.exponential(q, d, pivot, e, rate=4.975)]


TWINS = {
    "uniform": reference.uniform,
    "torque": reference.torque,
    "exponential": reference.exponential,
    "gravity": reference.gravity,
    "gravity_literal": reference.gravity_literal,
    "electrostatic": reference.electrostatic,
}
HAND = {"q": [2.0, 1.0, 4.0, 3.0], "d": [0.0, 1.0, 2.0, 3.0], "pivot": 0, "e": [1.0, -1.0, 1.0, -1.0]}
TABLE = [  # law, its twin, coefficients of HAND by hand, before normalisation
    (Uniform(), reference.uniform, [1, 1, 1, 1]),
    (LinearTorque(), reference.torque, [0, 1, 2, 3]),
    (ExponentialTorque(), reference.exponential, [1, 3.490343, 12.182494, 42.521082]),
    (ExponentialTorque(4 * math.log(2)), lambda *a: reference.exponential(*a, 4 * math.log(2)), [1, 2, 4, 8]),
    (ExponentialTorque(4.975, divide_by_size=True), etp_code, [0.25, 0.867150, 3.007799, 10.432852]),
    (Gravity(), reference.gravity, [0, 2 / 9, 2 / 4, 2]),
    (Gravity("near"), reference.gravity_literal, [0, 2, 2 / 4, 2 / 9]),
    (Electrostatic(0.4), lambda *a: reference.electrostatic(*a, 0.4), [0, -2 / 4, 8 / 9, 0]),
]


def channels(q, d, pivot, e, dtype=torch.float32):
    strength, distance, sign = (torch.tensor(values, dtype=dtype) for values in (q, d, e))
    return Channels(strength=strength, distance=distance, pivot=pivot, sign=sign)


def sample(size=9, pivot=0, distance="index", dtype=torch.float32, strength=None):
    strength = torch.rand(size, dtype=dtype) + 0.1 if strength is None else strength
    sign = torch.where(torch.rand(size) < 0.5, -1.0, 1.0).to(dtype)
    return Channels(strength, resolve_distance(distance)(strength, pivot), pivot, sign)


def lists(group):
    return group.strength.tolist(), group.distance.tolist(), group.pivot, group.sign.tolist()


@pytest.mark.parametrize(("law", "twin", "by_hand"), TABLE)
def test_law_equals_hand_and_twin(law, twin, by_hand):
    reference.close(law(channels(**HAND)), by_hand)
    reference.close(law(channels(**HAND)), twin(*lists(channels(**HAND))))
    for pivot in (0, 4, 8):
        group = sample(pivot=pivot, dtype=torch.float64)
        reference.close(law(group), twin(*lists(group)), 1e-9)


def test_every_registered_law_has_a_twin():
    assert TWINS.keys() == FORCES.keys()


@pytest.fixture(params=FORCES)
def name(request):
    return request.param


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("pivot", [0, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contract_of_every_law(name, distance, pivot, dtype):
    law, group = resolve_force(name), sample(9, pivot, distance, dtype)
    before = lists(group)
    result = coefficients(law, group, "conv1")
    assert result.shape == (9,)
    assert result.dtype == dtype
    assert not result.requires_grad
    assert result.isfinite().all()
    assert lists(group) == before
    reference.close(result, reference.normalized(TWINS[name](*before)), 1e-4)
    if result.any():
        assert result.abs().mean() == pytest.approx(1, rel=1e-5)


def test_contract_order_of_channels_does_not_matter(name):
    law, group = resolve_force(name), sample(pivot=2)
    order = torch.tensor([4, 2, 0, 8, 1, 3, 7, 6, 5])
    shuffled = Channels(group.strength[order], group.distance[order], 1, group.sign[order])
    reference.close(law(shuffled), law(group)[order])


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    "strength",
    [
        torch.ones(1),
        torch.zeros(1),
        torch.zeros(5),
        torch.ones(5),
        torch.tensor([0.0, 1e-30, 1.0, 1.0, 1e-38]),
        torch.full((5,), 1e-30),
        torch.tensor([1.0, 1.0 + 2e-7, 1e6, 3.0, 2.0]),
    ],
)
def test_contract_dead_equal_and_tiny_strengths_stay_finite(name, distance, strength):
    group = sample(len(strength), distance=distance, strength=strength)
    assert coefficients(resolve_force(name), group, "conv1").isfinite().all()


def test_contract_law_is_plain_frozen_data(name):
    law = resolve_force(name)
    assert law == resolve_force(name) == pickle.loads(pickle.dumps(law))
    assert hash(law) == hash(resolve_force(name))
    assert law.default_distance in DISTANCES
    assert resolve_force(law) is law
    group = sample()
    raw = replace(law, normalize=False)
    reference.close(coefficients(raw, group, "conv1"), law(group))


def test_gravity_goes_the_way_its_name_says():
    group = sample(64)
    far, near = Gravity()(group)[1:], Gravity("near")(group)[1:]
    assert (far.diff() > 0).all()
    assert (near.diff() < 0).all()
    assert near[0] / near[-1] == pytest.approx(3969, rel=1e-4)


def test_gravity_frees_what_sits_where_the_pivot_sits():
    group = sample(3, distance="strength_gap", strength=torch.tensor([1.0, 1.0, 2.0]))
    reference.close(Gravity("near")(group), [0, 0, 1 / 4])


def test_dead_pivot_attracts_nothing():
    assert not coefficients(Gravity(), sample(strength=torch.arange(9.0)), "conv1").any()


def test_like_charges_are_pressed_opposite_ones_drawn_out_to_the_source_at_most():
    strength, sign = torch.tensor([2.0, 1.0, 1.0, 2.0, 3.0]), torch.tensor([-1.0, -1.0, 1.0, 1.0, 1.0])
    force = Electrostatic()(Channels(strength, resolve_distance("strength_gap")(strength, 0), 0, sign))
    assert force[1] > 0 > force[2]
    assert force[0] == force[3] == force[4] == 0


def test_own_law_with_a_positional_field():
    @dataclass(frozen=True)
    class Spring(ForceLaw):
        stiffness: float = 1.0

        def __call__(self, channels):
            return self.stiffness * channels.distance

    group = channels(**HAND)
    assert resolve_force(Spring(2.0)).stiffness == 2
    reference.close(coefficients(Spring(3.0), group, "conv1"), [0, 2 / 3, 4 / 3, 2])
    reference.close(coefficients(Spring(3.0, normalize=False), group, "conv1"), [0, 3, 6, 9])


def test_own_law_as_a_plain_function():
    def spring(channels):
        return 3 * channels.distance.long()

    result = coefficients(resolve_force(spring), channels(**HAND), "conv1")
    reference.close(result, [0, 2 / 3, 4 / 3, 2])
    assert result.dtype == torch.float32


def test_coefficients_are_detached_from_a_law_with_parameters():
    weight = torch.ones(4, requires_grad=True)
    assert not coefficients(lambda group: weight * group.distance, channels(**HAND), "conv1").requires_grad


@pytest.mark.parametrize(
    ("result", "came"),
    [
        (torch.ones(3), r"shape \[4\], got shape \[3\]"),
        (torch.ones(4, 1), r"shape \[4\], got shape \[4, 1\]"),
        (torch.tensor(1.0), r"shape \[4\], got shape \[\]"),
        ([1.0, 1.0, 1.0, 1.0], r"shape \[4\], got \[1.0"),
        (torch.tensor([1.0, math.nan, 1.0, 1.0]), r"finite coefficients, got \[1.0, nan"),
        (torch.tensor([1.0, math.inf, 1.0, 1.0]), r"finite coefficients, got \[1.0, inf"),
    ],
)
def test_bad_result_names_law_and_group(result, came):
    def broken(channels):
        return result

    with pytest.raises(ValueError, match=rf"force law broken on group 'layer1.conv1': expected a?.*{came}"):
        coefficients(broken, channels(**HAND), "layer1.conv1")


def test_overflow_of_a_law_object_names_its_class():
    with pytest.raises(ValueError, match="force law ExponentialTorque on group 'conv1'"):
        coefficients(ExponentialTorque(1000.0), channels(**HAND), "conv1")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"force.*'electrostatic', 'exponential', 'gravity'.*'magnetic'"):
        resolve_force("magnetic")
    for bad in (Gravity, 3):
        with pytest.raises(TypeError, match="force: expected a name, a ForceLaw object or a function"):
            resolve_force(bad)
    with pytest.raises(ValueError, match=r"orientation.*'far', 'near'.*'up'"):
        Gravity("up")
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="rate: expected a finite number"):
            ExponentialTorque(bad)
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="softening: expected a finite number over 0"):
            Electrostatic(bad)
