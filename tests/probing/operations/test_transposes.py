"""Transposes of parameters are known by how they lie in memory."""

import pytest
import torch
from torch import nn

from physprune_pl.probing.operations.transposes import transposed_parameter


@pytest.mark.parametrize("shape", [(3, 2), (3, 3), (1, 4), (4, 1)])
@pytest.mark.parametrize("turn", [torch.t, lambda weight: weight.T, lambda weight: weight.transpose(0, 1)])
def test_a_transpose_is_known_whatever_its_shape(shape, turn):
    weight = nn.Parameter(torch.randn(shape))
    assert transposed_parameter(turn(weight)) is weight


@pytest.mark.parametrize(
    "make", [lambda weight: weight, lambda weight: weight[:2].t(), lambda weight: weight.t().clone(), lambda weight: 3]
)
def test_anything_else_is_none(make):
    assert transposed_parameter(make(nn.Parameter(torch.randn(3, 3)))) is None
