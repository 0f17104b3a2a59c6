import pytest
import reference
import torch

from physprune_pl.strengths import L2, STRENGTHS, SquaredL2, Strength, resolve_strength, widen
from physprune_pl.structure import Slice

TABLE = [  # name, weights, strength by hand
    ("l1", [3.0, -4.0, 0.0], 7.0),
    ("l2", [3.0, -4.0, 0.0], 5.0),
    ("squared_l2", [3.0, -4.0, 0.0], 25.0),
    ("l1", [0.0, 0.0], 0.0),
    ("l2", [0.0, 0.0], 0.0),
    ("squared_l2", [0.0, 0.0], 0.0),
]


def measure(strength: Strength, weight: torch.Tensor) -> torch.Tensor:
    return strength.finish(strength.power(weight).sum().reshape(1))


@pytest.mark.parametrize(("name", "weights", "by_hand"), TABLE)
def test_strength_equals_hand_and_twin(name, weights, by_hand):
    actual = measure(resolve_strength(name), torch.tensor(weights))
    reference.close(actual, [by_hand])
    reference.close(actual, [reference.strength(name, weights)])


@pytest.mark.parametrize("name", STRENGTHS)
def test_rate_times_pull_is_the_derivative(name):
    strength = resolve_strength(name)
    weight = torch.randn(7, dtype=torch.float64, requires_grad=True)
    measured = measure(strength, weight)
    measured.sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(weight.grad, strength.rate(measured) * strength.pull(weight))


@pytest.mark.parametrize("name", STRENGTHS)
def test_gradient_at_zero_is_zero(name):
    strength, zero = resolve_strength(name), torch.zeros(3)
    assert (strength.rate(measure(strength, zero)) * strength.pull(zero) == 0).all()


@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(name, dtype):
    weight = torch.full((70_000,), 0.5, dtype=dtype)
    expected = {"l1": 35_000.0, "l2": 17_500**0.5, "squared_l2": 17_500.0}[name]
    actual = measure(resolve_strength(name), weight)
    assert actual.dtype == torch.float32
    reference.close(actual, [expected])
    assert resolve_strength(name).pull(weight).dtype == torch.float32


def test_widen_leaves_wide_types_alone():
    weight = torch.ones(2, dtype=torch.float64)
    assert widen(weight) is weight


@pytest.mark.parametrize(
    ("scope", "role", "counts"),
    [
        ("group", "filter", True),
        ("group", "carrier", True),
        ("group", "consumer", True),
        ("group", "buffer", False),
        ("filter", "filter", True),
        ("filter", "carrier", False),
        ("filter", "consumer", False),
        ("filter", "buffer", False),
    ],
)
def test_scope_says_which_slices_count(scope, role, counts):
    assert L2(scope=scope).counts(Slice("w", 0, (0,), (0,), role)) is counts


def test_own_strength_needs_two_methods():
    class Quartic(Strength):
        def power(self, weight):
            return weight**4

        def pull(self, weight):
            return 4 * weight**3

    own = resolve_strength(Quartic(scope="filter"))
    reference.close(measure(own, torch.tensor([1.0, -2.0])), [17.0])
    assert own.rate(torch.tensor([5.0])) == 1


def test_equal_settings_are_equal_objects():
    assert L2() == resolve_strength("l2") != SquaredL2()
    assert L2(scope="filter") != L2()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"strength.*'l1', 'l2', 'squared_l2'.*'l3'"):
        resolve_strength("l3")
    with pytest.raises(TypeError, match="strength: expected a name or a Strength"):
        resolve_strength(L2)
    with pytest.raises(ValueError, match=r"scope.*'group', 'filter'.*'layer'"):
        L2(scope="layer")
