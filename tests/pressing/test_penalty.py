"""The penalty and its closed-form gradient against figures by hand, naive loops, autograd and finite differences."""

import pytest
import reference
import torch
from hand_traces import GROUPS, N, hand_made, make_tensors, part, value_of

from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2, STRENGTHS
from physprune_pl.structure import Slice


@pytest.fixture(params=STRENGTHS)
def name(request):
    return request.param


@pytest.fixture(params=["group", "filter"])
def scope(request):
    return request.param


HAND = [  # weight, slices, strengths by hand, gradient of s_0 + 2 s_1 by hand; all L2
    ([[3.0, 4.0], [0.0, 2.0]], [part("w", 0, 2, "filter")], [5, 2], [[0.6, 0.8], [0, 2]]),
    ([[3.0, 4.0], [0.0, 2.0]], [part("w", 1, 2, "consumer")], [3, 20**0.5], [[1, 8 / 20**0.5], [0, 4 / 20**0.5]]),
    # both dimensions: w_00 counts twice for channel 0, w_01 = 4 is a row of 0 and a column of 1
    (
        [[1.0, 4.0], [0.0, 2.0]],
        [part("w", 0, 2, "filter"), part("w", 1, 2, "consumer")],
        [18**0.5, 24**0.5],
        [[2 / 18**0.5, 4 / 18**0.5 + 8 / 24**0.5], [0, 8 / 24**0.5]],
    ),
    ([-2.0, 0.5], [part("w", 0, 2, "carrier")], [2, 0.5], [-1, 2]),
    ([3.0, 4.0, 0.0, 2.0, 7.0], [part("w", 0, 2, "filter", repeat=2)], [5, 2], [0.6, 0.8, 0, 2, 0]),
    ([[0.0, 0.0], [0.0, 2.0]], [part("w", 0, 2, "filter")], [0, 2], [[0, 0], [0, 2]]),
    # a transposed convolution [in, out]: rows are dimension 1
    ([[[3.0], [1.0]], [[4.0], [0.0]]], [part("w", 1, 2, "filter")], [5, 1], [[[0.6], [2]], [[0.8], [0]]]),
]


@pytest.mark.parametrize(("weight", "slices", "strengths", "gradient"), HAND)
def test_strengths_and_gradient_by_hand(weight, slices, strengths, gradient):
    parameter, penalty = hand_made(weight, *slices)
    reference.close(penalty.strengths(), strengths)
    penalty.add_gradient(torch.tensor([1.0, 2.0]))
    reference.close(parameter.grad, gradient)
    reference.close(value_of(penalty, torch.tensor([1.0, 2.0])), strengths[0] + 2 * strengths[1])


def test_strengths_equal_the_naive_twin(name, scope):
    tensors = make_tensors()
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name](scope=scope))
    with torch.no_grad():
        expected = [
            float(reference.strength(name, reference.elements(group, k, tensors, scope)))
            for group in GROUPS
            for k in range(group.size)
        ]
    assert penalty.strengths().shape == (N,)
    assert not penalty.strengths().requires_grad
    reference.close(penalty.strengths(), expected, 1e-12)
    assert [penalty.strengths()[place].shape[0] for place in penalty.segments] == [4, 5, 3, 2, 2]
    assert not penalty.strengths()[penalty.segments[-1]].any()


def test_gradient_equals_autograd_of_the_naive_penalty(name, scope):
    tensors, pressure = make_tensors(), torch.randn(N, dtype=torch.float64)
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name](scope=scope))
    value = reference.penalty(name, GROUPS, tensors, pressure.tolist(), scope)
    expected = torch.autograd.grad(value, tensors.values(), allow_unused=True)
    penalty.add_gradient(pressure)
    reference.close(value_of(penalty, pressure), value.detach(), 1e-12)
    for parameter, gradient in zip(tensors.values(), expected, strict=True):
        actual = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(actual, torch.zeros_like(parameter) if gradient is None else gradient)


def test_gradient_equals_finite_differences(name):
    tensors, pressure, step = make_tensors(), torch.rand(N, dtype=torch.float64), 1e-6
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name]())
    penalty.add_gradient(pressure)
    for parameter in tensors.values():
        for place in range(0, parameter.numel(), 3):
            flat = parameter.data.view(-1)
            values = []
            for sign in (1, -2):
                flat[place] += sign * step
                values.append(value_of(penalty, pressure))
            flat[place] += step
            slope = (values[0] - values[1]) / (2 * step)
            actual = torch.tensor(0.0) if parameter.grad is None else parameter.grad.view(-1)[place]
            assert float(slope) == pytest.approx(float(actual), abs=1e-6)


def test_coefficients_are_held_fixed():
    """A law that depends on the strengths adds no term of its own to the gradient."""
    parameter, penalty = hand_made([[3.0, 4.0], [0.0, 2.0]], part("w", 0, 2, "filter"))
    penalty.add_gradient(penalty.strengths())
    reference.close(parameter.grad, [[3, 4], [0, 2]])


def test_dead_channels_get_no_gradient(name):
    tensors = make_tensors()
    for tensor in tensors.values():
        tensor.data.zero_()
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name]())
    penalty.add_gradient(torch.ones(N))
    assert all(tensor.grad is None or not tensor.grad.any() for tensor in tensors.values())
    assert not penalty.strengths().any()


def test_gradient_is_added_and_scaled():
    tensors, pressure = make_tensors(), torch.rand(N)
    penalty = Penalty(GROUPS, tensors, L2())
    penalty.add_gradient(pressure)
    once = {name: tensor.grad.clone() for name, tensor in tensors.items() if tensor.grad is not None}
    penalty.add_gradient(pressure, scale=torch.tensor(4.0))
    penalty.add_gradient(pressure, scale=0.5, strengths=penalty.strengths())
    for name, gradient in once.items():
        torch.testing.assert_close(tensors[name].grad, 5.5 * gradient)
        assert not tensors[name].grad.requires_grad


def test_signs_are_those_of_the_channels_own_filters():
    tensors = make_tensors()
    penalty = Penalty(GROUPS, tensors, L2())
    expected = [reference.sign(group, k, tensors) for group in GROUPS for k in range(group.size)]
    reference.close(penalty.signs(), expected)
    assert -1 in expected
    for name in ("norm.weight", "norm.bias"):
        tensors[name].data.neg_()
    tensors["conv.weight"].requires_grad_(False)
    reference.close(penalty.signs(), expected)


def test_sign_of_nothing_is_positive():
    _, penalty = hand_made([[1.0, -1.0], [-1.0, 0.0]], part("w", 0, 2, "filter"))
    reference.close(penalty.signs(), [1, -1])
    _, penalty = hand_made([-1.0, -1.0], part("w", 0, 2, "carrier"))
    reference.close(penalty.signs(), [1, 1])


BAD = [  # slice of a 2 x 2 weight in a group of 2 channels, what the message says
    (Slice("w", 2, (0,), (0,), "filter"), "group 'g': slice of w: expected a dimension under 2, got 2"),
    (Slice("w", 0, (0, 1), (0,), "filter"), "one channel per index, got 1 for 2"),
    (Slice("w", 0, (0, 2), (0, 1), "filter"), r"every index from 0 to 1, got \[0, 2\]"),
    (Slice("w", 0, (-1,), (0,), "filter"), r"every index from 0 to 1, got \[-1\]"),
    (Slice("w", 1, (0, 1), (0, 2), "consumer"), r"every channel from 0 to 1, got \[0, 2\]"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_slice_that_does_not_fit_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        hand_made([[1.0, 2.0], [3.0, 4.0]], bad)


@pytest.mark.parametrize(
    "twice",
    [
        (part("w", 0, 2, "filter"), Slice("w", 0, (0,), (1,), "filter")),
        (Slice("w", 0, (0, 0), (0, 1), "filter"),),
    ],
)
def test_index_of_two_channels_is_an_error(twice):
    with pytest.raises(ValueError, match="group 'g': w dimension 0 has indices owned twice"):
        hand_made([[1.0, 2.0], [3.0, 4.0]], *twice)


def test_wrong_shape_of_pressure_is_an_error():
    _, penalty = hand_made([1.0, 2.0], part("w", 0, 2, "carrier"))
    with pytest.raises(ValueError, match=r"pressure: expected shape \[2\], one per channel, got \[3\]"):
        penalty.add_gradient(torch.ones(3))
    with pytest.raises(ValueError, match=r"strengths: expected shape \[2\]"):
        penalty.add_gradient(torch.ones(2), strengths=torch.ones(1))
