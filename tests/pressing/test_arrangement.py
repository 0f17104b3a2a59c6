"""Stacks and pieces: many tensors of one shape, in every memory format, worked on together or a few rows at a time."""

import pytest
import reference
import torch
from hand_traces import GROUPS, N, make_tensors, part, value_of
from torch import nn

from physprune_pl.pressing import arrangement
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2, STRENGTHS
from physprune_pl.structure import ChannelGroup

SHAPE = (4, 3, 2, 2)
NAMES = [f"w{number}" for number in range(5)]
ALIKE = [
    ChannelGroup("rows", 4, tuple(part(name, 0, 4, "filter") for name in NAMES)),
    ChannelGroup("columns", 3, tuple(part(name, 1, 3, "consumer") for name in NAMES)),
]


def alike(dtype=torch.float64, memory_format=torch.contiguous_format):
    return {name: nn.Parameter(torch.randn(SHAPE, dtype=dtype).to(memory_format=memory_format)) for name in NAMES}


@pytest.fixture(params=[1, 30, 100, 1 << 18], autouse=True)
def limit(request, monkeypatch):
    monkeypatch.setattr(arrangement, "CACHED", request.param)
    return request.param


def strided(tensors):
    """Put every tensor into every second place of a memory twice as large."""
    for tensor in tensors.values():
        wide = torch.zeros(*tensor.shape, 2, dtype=tensor.dtype)
        wide[..., 0] = tensor.data
        tensor.data = wide[..., 0]
    return tensors


FORMATS = {
    "plain": lambda: (ALIKE, alike()),
    "channels last": lambda: (ALIKE, alike(memory_format=torch.channels_last)),
    "with gaps": lambda: (ALIKE, strided(alike())),
    "of many shapes": lambda: (GROUPS, make_tensors()),
    "of many shapes with gaps": lambda: (GROUPS, strided(make_tensors())),
}


def size(groups):
    return sum(group.size for group in groups)


@pytest.mark.parametrize("there", ["none", "some", "all"])
@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("how", FORMATS)
def test_gradient_equals_autograd_of_the_naive_penalty(how, name, there):
    groups, tensors = FORMATS[how]()
    pressure = torch.randn(size(groups), dtype=torch.float64)
    value = reference.penalty(name, groups, tensors, pressure.tolist())
    expected = torch.autograd.grad(value, tensors.values(), allow_unused=True)
    penalty = Penalty(groups, tensors, STRENGTHS[name]())
    reference.close(value_of(penalty, pressure), value.detach(), 1e-12)
    before = {}
    for number, (key, tensor) in enumerate(tensors.items()):
        if there == "all" or (there == "some" and number % 2):
            before[key] = torch.randn_like(tensor, memory_format=torch.contiguous_format)
            tensor.grad = before[key].clone()
    penalty.add_gradient(pressure)
    for (key, tensor), gradient in zip(tensors.items(), expected, strict=True):
        wanted = before.get(key, torch.zeros((), dtype=tensor.dtype)) + (0 if gradient is None else gradient)
        actual = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        torch.testing.assert_close(actual, wanted.expand_as(actual))


@pytest.mark.parametrize("how", FORMATS)
def test_shrinking_reaches_tensors_in_every_format(how):
    groups, tensors = FORMATS[how]()
    penalty, plain = Penalty(groups, tensors, L2()), {}
    keep = torch.rand(size(groups), dtype=torch.float64)
    for key, tensor in tensors.items():
        plain[key] = nn.Parameter(tensor.detach().clone(memory_format=torch.contiguous_format))
    penalty.shrink(keep)
    for group, place in zip(groups, penalty.segments, strict=True):
        for one in group.slices:
            if one.name in plain and one.role != "buffer":
                scale = torch.ones(plain[one.name].shape[one.dim], dtype=torch.float64)
                scale[list(one.index)] = keep[place][list(one.channel)]
                shape = [-1 if dim == one.dim else 1 for dim in range(plain[one.name].ndim)]
                plain[one.name].data.mul_(scale.view(shape))
    for key, tensor in tensors.items():
        torch.testing.assert_close(tensor, plain[key])


def test_gradients_of_a_stack_are_laid_out_like_their_parameters():
    tensors = alike(memory_format=torch.channels_last)
    Penalty(ALIKE, tensors, L2()).add_gradient(torch.ones(7))
    assert all(tensor.grad.stride() == tensor.stride() for tensor in tensors.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("there", [False, True])
def test_half_precision_is_added_in_full_precision(dtype, there):
    tensors = alike(dtype)
    if there:
        for key in NAMES[1:]:
            tensors[key].grad = torch.ones_like(tensors[key])
    wide = {key: nn.Parameter(tensor.detach().double()) for key, tensor in tensors.items()}
    pressure = torch.rand(7)
    for these in (tensors, wide):
        Penalty(ALIKE, these, L2()).add_gradient(pressure)
    for key, tensor in tensors.items():
        assert tensor.grad.dtype == dtype
        expected = wide[key].grad + (1 if there and key != NAMES[0] else 0)
        torch.testing.assert_close(tensor.grad, expected.to(dtype))


def test_only_some_tensors_of_a_stack_are_touched():
    tensors, pressure = alike(), torch.rand(7)
    penalty = Penalty(ALIKE, tensors, L2())
    penalty.add_gradient(pressure)
    expected = tensors["w3"].grad.clone()
    for tensor in tensors.values():
        tensor.grad = None
    penalty.add_gradient(pressure, only={id(tensors["w3"])})
    assert [name for name, tensor in tensors.items() if tensor.grad is not None] == ["w3"]
    torch.testing.assert_close(tensors["w3"].grad, expected)


def test_gradients_that_somebody_keeps_are_not_written_over():
    tensors, pressure = alike(), torch.rand(7)
    penalty = Penalty(ALIKE, tensors, L2())
    penalty.add_gradient(pressure)
    kept = [tensor.grad for tensor in tensors.values()]
    copies = [gradient.clone() for gradient in kept]
    for tensor in tensors.values():
        tensor.grad = None
    penalty.add_gradient(2 * pressure)
    for gradient, copy, tensor in zip(kept, copies, tensors.values(), strict=True):
        assert gradient.equal(copy)
        torch.testing.assert_close(tensor.grad, 2 * copy)


def test_a_new_memory_format_or_type_is_noticed():
    tensors, pressure = make_tensors(torch.float32), torch.rand(N)
    penalty = Penalty(GROUPS, tensors, L2())
    before = value_of(penalty, pressure)
    tensors["conv.weight"].data = tensors["conv.weight"].data.to(memory_format=torch.channels_last)
    torch.testing.assert_close(value_of(penalty, pressure), before)
    tensors["up.weight"].data = tensors["up.weight"].data.double()
    assert penalty.strengths().dtype == torch.float64
    torch.testing.assert_close(value_of(penalty, pressure), before.double(), rtol=1e-6, atol=1e-6)
