"""Memory is handed out again only once nobody holds any part of it."""

import gc

import pytest
import torch
from torch import nn

from physprune_pl.pressing.arrangement import Reused

CPU = torch.device("cpu")


def reused() -> Reused:
    return Reused((4, 3), torch.float32, CPU)


def test_what_nobody_holds_is_handed_out_again() -> None:
    memory = reused()
    place = memory.take().data_ptr()
    assert [memory.take().data_ptr() for _ in range(3)] == [place] * 3


HOLDING = {
    "itself": lambda one: one,
    "a view": lambda one: one[1:2, 0],
    "another shape": lambda one: one.view(2, 6).unbind()[1],
    "an array": lambda one: one.numpy()[:, 1],
    "detached": lambda one: one.detach(),
    "the gradient of a parameter": lambda one: with_gradient(one),
    "what a graph saved": lambda one: (torch.ones(4, 3, requires_grad=True) * one).sum(),
}


def with_gradient(one: torch.Tensor) -> nn.Parameter:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = one.view(-1)[:2]
    return parameter


@pytest.mark.parametrize("how", HOLDING)
def test_what_somebody_holds_is_left_to_them(how: str) -> None:
    memory = reused()
    first = memory.take()
    place = first.data_ptr()
    held = HOLDING[how](first)
    del first
    second = memory.take()
    assert second.data_ptr() != place, held
    del held, second
    gc.collect()
    again = memory.take()
    assert memory.take().data_ptr() != again.data_ptr()


def test_a_parameter_that_drops_its_gradient_gives_it_back() -> None:
    memory = reused()
    parameter = with_gradient(memory.take())
    place = parameter.grad.data_ptr()
    (parameter * 2).sum().backward()
    parameter.grad = None
    assert memory.take().data_ptr() == place
