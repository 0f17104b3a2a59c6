import pytest
import reference
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from physprune_pl.channels import ChannelGroup, Slice
from physprune_pl.penalty import Penalty
from physprune_pl.strengths import L2, STRENGTHS


def part(name, dim, size, role, per_channel=1, start=0):
    """Slice of consecutive indices, ``per_channel`` of them for each of ``size`` channels."""
    channel = tuple(k for k in range(size) for _ in range(per_channel))
    return Slice(name, dim, tuple(range(start, start + len(channel))), channel, role)


GROUPS = [
    ChannelGroup(  # a convolution, its norm, a depthwise convolution, a consumer that reads other channels too
        "conv",
        4,
        (
            part("conv.weight", 0, 4, "filter"),
            part("norm.weight", 0, 4, "carrier"),
            part("norm.bias", 0, 4, "carrier"),
            part("norm.running_mean", 0, 4, "buffer"),
            part("depthwise.weight", 0, 4, "carrier"),
            part("mix.weight", 1, 4, "consumer", start=2),
        ),
    ),
    ChannelGroup("mix", 5, (part("mix.weight", 0, 5, "filter"), part("up.weight", 0, 5, "consumer"))),
    # rows of a transposed convolution are dimension 1; a flatten gives two columns a channel
    ChannelGroup("up", 3, (part("up.weight", 1, 3, "filter"), part("head.weight", 1, 3, "consumer", per_channel=2))),
    # a recurrent weight: both of its dimensions belong to the same channels
    ChannelGroup("loop", 2, (part("loop.weight", 0, 2, "filter"), part("loop.weight", 1, 2, "consumer"))),
    ChannelGroup("gone", 2, (part("elsewhere.weight", 0, 2, "filter"),)),
]
SHAPES = {
    "conv.weight": (4, 3, 2, 2),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "norm.running_mean": (4,),
    "depthwise.weight": (4, 1, 3, 3),
    "mix.weight": (5, 7, 1, 1),
    "up.weight": (5, 3, 2, 2),
    "head.weight": (2, 6),
    "loop.weight": (2, 2),
    "apart.weight": (3, 3),
}
N = sum(group.size for group in GROUPS)


def make_tensors(dtype=torch.float64, shapes=SHAPES):
    return {name: nn.Parameter(torch.randn(shape).to(dtype)) for name, shape in shapes.items()}


def hand_made(weight, *slices, size=2, strength="l2"):
    parameter = nn.Parameter(torch.tensor(weight))
    return parameter, Penalty([ChannelGroup("g", size, slices)], {"w": parameter}, STRENGTHS[strength]())


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
    ([3.0, 4.0, 0.0, 2.0, 7.0], [part("w", 0, 2, "filter", per_channel=2)], [5, 2], [0.6, 0.8, 0, 2, 0]),
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
    reference.close(penalty.value(torch.tensor([1.0, 2.0])), strengths[0] + 2 * strengths[1])


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
    reference.close(penalty.value(pressure), value.detach(), 1e-12)
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
                values.append(penalty.value(pressure))
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


def test_buffers_unknown_names_and_unowned_parameters_are_not_counted():
    tensors = make_tensors()
    Penalty(GROUPS, tensors, L2()).add_gradient(torch.ones(N))
    assert tensors["norm.running_mean"].grad is None
    assert tensors["apart.weight"].grad is None
    assert not tensors["mix.weight"].grad[:, 6].equal(torch.zeros(5, 1, 1))  # its rows are owned


def test_frozen_parameters_are_not_counted_until_they_thaw(name):
    tensors, pressure = make_tensors(), torch.ones(N, dtype=torch.float64)
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name]())
    whole = penalty.value(pressure)
    tensors["conv.weight"].requires_grad_(False)
    frozen = reference.penalty(name, GROUPS, tensors, pressure.tolist()).detach()
    reference.close(penalty.value(pressure), frozen, 1e-12)
    assert frozen < whole
    penalty.add_gradient(pressure)
    assert tensors["conv.weight"].grad is None
    tensors["conv.weight"].requires_grad_(True)
    assert penalty.value(pressure) == whole


def test_everything_frozen_is_no_error():
    tensors = {name: tensor.requires_grad_(False) for name, tensor in make_tensors().items()}
    penalty = Penalty(GROUPS, tensors, L2())
    penalty.add_gradient(torch.ones(N))
    assert penalty.strengths().equal(torch.zeros(N))
    assert Penalty([], {}, L2()).strengths().shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(name, dtype):
    tensors, pressure = make_tensors(dtype), torch.rand(N)
    wide = {key: nn.Parameter(tensor.detach().float()) for key, tensor in tensors.items()}
    half, full = (Penalty(GROUPS, these, STRENGTHS[name]()) for these in (tensors, wide))
    assert half.strengths().dtype == torch.float32
    torch.testing.assert_close(half.strengths(), full.strengths())
    half.add_gradient(pressure)
    full.add_gradient(pressure)
    for key, tensor in tensors.items():
        if tensor.grad is not None:
            assert tensor.grad.dtype == dtype
            torch.testing.assert_close(tensor.grad, wide[key].grad.to(dtype))


def test_large_half_precision_weights_do_not_overflow():
    parameter, penalty = hand_made([[300.0, 400.0], [0.0, 0.0]], part("w", 0, 2, "filter"))
    parameter.data = parameter.data.half()
    reference.close(penalty.strengths(), [500, 0])


def test_mixed_types_take_the_widest():
    tensors = make_tensors(torch.float32)
    tensors["norm.bias"].data = tensors["norm.bias"].data.double()
    penalty = Penalty(GROUPS, tensors, L2())
    for _ in range(2):
        penalty.add_gradient(torch.ones(N))
    assert penalty.strengths().dtype == torch.float64
    assert tensors["conv.weight"].grad.dtype == torch.float32


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


def test_only_some_parameters_are_touched():
    tensors, pressure = make_tensors(), torch.rand(N)
    alone = Penalty(GROUPS, tensors, L2())
    alone.add_gradient(pressure)
    expected = tensors["mix.weight"].grad
    for tensor in tensors.values():
        tensor.grad = None
    alone.add_gradient(pressure, only={id(tensors["mix.weight"])})
    touched = [name for name, tensor in tensors.items() if tensor.grad is not None]
    assert touched == ["mix.weight"]
    torch.testing.assert_close(tensors["mix.weight"].grad, expected)


def test_new_gradient_has_the_memory_format_of_its_parameter():
    tensors = make_tensors(torch.float32)
    tensors["conv.weight"].data = tensors["conv.weight"].data.to(memory_format=torch.channels_last)
    Penalty(GROUPS, tensors, L2()).add_gradient(torch.ones(N))
    gradient = tensors["conv.weight"].grad
    assert gradient.stride() == tensors["conv.weight"].stride()


def test_tied_parameter_counts_once_under_each_of_its_names():
    parameter = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    slices = part("a", 0, 2, "filter"), part("b", 0, 2, "consumer")
    penalty = Penalty([ChannelGroup("g", 2, slices)], {"a": parameter, "b": parameter}, L2())
    reference.close(penalty.strengths(), [5, 2])


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


class NothingReadBack(TorchDispatchMode):
    """Fails at any operation that would wait for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket not in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero), func
        return func(*args, **(kwargs or {}))


def test_nothing_is_read_back_from_the_device():
    penalty, pressure = Penalty(GROUPS, make_tensors(), L2()), torch.ones(N)
    with NothingReadBack():
        penalty.signs()
        penalty.value(pressure)
        penalty.add_gradient(pressure, scale=torch.tensor(2.0))
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NothingReadBack():
        float(penalty.value(pressure))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_owners_follow_the_model_to_a_gpu_and_never_wait_for_it():
    tensors, pressure = make_tensors(torch.float32), torch.rand(N)
    penalty = Penalty(GROUPS, tensors, L2())
    expected = penalty.value(pressure)
    for tensor in tensors.values():
        tensor.data = tensor.data.cuda()
    torch.testing.assert_close(penalty.value(pressure).cpu(), expected)
    pressure = pressure.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        penalty.add_gradient(pressure)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert tensors["conv.weight"].grad.is_cuda


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
    for call in (penalty.value, penalty.add_gradient):
        with pytest.raises(ValueError, match=r"pressure: expected shape \[2\], one per channel, got \[3\]"):
            call(torch.ones(3))
    with pytest.raises(ValueError, match=r"strengths: expected shape \[2\]"):
        penalty.add_gradient(torch.ones(2), strengths=torch.ones(1))
