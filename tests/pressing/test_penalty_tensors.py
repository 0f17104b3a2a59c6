"""Which tensors the penalty counts and touches, and in which type, memory format and place."""

import pytest
import reference
import torch
from hand_traces import GROUPS, N, hand_made, make_tensors, part, value_of
from read_back import NothingReadBack
from torch import nn

from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2, STRENGTHS
from physprune_pl.structure import ChannelGroup


@pytest.fixture(params=STRENGTHS)
def name(request):
    return request.param


def test_buffers_unknown_names_and_unowned_parameters_are_not_counted():
    tensors = make_tensors()
    Penalty(GROUPS, tensors, L2()).add_gradient(torch.ones(N))
    assert tensors["norm.running_mean"].grad is None
    assert tensors["apart.weight"].grad is None
    assert not tensors["mix.weight"].grad[:, 6].equal(torch.zeros(5, 1, 1))  # its rows are owned


def test_frozen_parameters_are_not_counted_until_they_thaw(name):
    tensors, pressure = make_tensors(), torch.ones(N, dtype=torch.float64)
    penalty = Penalty(GROUPS, tensors, STRENGTHS[name]())
    whole = value_of(penalty, pressure)
    tensors["conv.weight"].requires_grad_(False)
    frozen = reference.penalty(name, GROUPS, tensors, pressure.tolist()).detach()
    reference.close(value_of(penalty, pressure), frozen, 1e-12)
    assert frozen < whole
    penalty.add_gradient(pressure)
    assert tensors["conv.weight"].grad is None
    tensors["conv.weight"].requires_grad_(True)
    assert value_of(penalty, pressure) == whole


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


def test_nothing_is_read_back_from_the_device():
    penalty, pressure = Penalty(GROUPS, make_tensors(), L2()), torch.ones(N)
    with NothingReadBack():
        penalty.signs()
        value_of(penalty, pressure)
        penalty.add_gradient(pressure, scale=torch.tensor(2.0))
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NothingReadBack():
        float(value_of(penalty, pressure))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_owners_follow_the_model_to_a_gpu_and_never_wait_for_it():
    tensors, pressure = make_tensors(torch.float32), torch.rand(N)
    penalty = Penalty(GROUPS, tensors, L2())
    expected = value_of(penalty, pressure)
    for tensor in tensors.values():
        tensor.data = tensor.data.cuda()
    torch.testing.assert_close(value_of(penalty, pressure).cpu(), expected)
    pressure = pressure.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        penalty.add_gradient(pressure)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert tensors["conv.weight"].grad.is_cuda
