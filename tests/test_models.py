"""Sizes of the experiments' networks against published counts."""

import pytest
import torch
from torch import nn

from experiments.models import CifarResNet, Shape, lenet5, resnet20, resnet56, vgg11_bn
from physprune_pl.measure import count_macs, count_parameters

COUNTS = [
    (resnet20, (3, 32, 32), 272_474),
    (resnet56, (3, 32, 32), 855_770),
    (lenet5, (1, 28, 28), 61_706),
    (vgg11_bn, (3, 32, 32), 9_231_114),
]


@pytest.mark.parametrize(("factory", "shape", "parameters"), COUNTS)
def test_parameters_are_the_published_number(factory: object, shape: Shape, parameters: int) -> None:
    assert count_parameters(factory(shape, 10)) == parameters  # type: ignore[operator]


@pytest.mark.parametrize("factory", [row[0] for row in COUNTS])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_scores_have_one_column_per_class(factory: object, shape: Shape) -> None:
    network: nn.Module = factory(shape, 7)  # type: ignore[operator]
    assert network(torch.zeros(2, *shape)).shape == (2, 7)


def test_resnet56_multiply_adds() -> None:
    # He et al.'s 125 M plus the two projections, 16 * 32 * 16^2 + 32 * 64 * 8^2.
    without_projections = 16 * 9 * (3 + 16 * 18) * 32**2 + (16 * 32 + 32 * 32 * 17) * 9 * 16**2
    without_projections += (32 * 64 + 64 * 64 * 17) * 9 * 8**2 + 64 * 10
    projections = 16 * 32 * 16**2 + 32 * 64 * 8**2
    assert count_macs(resnet56((3, 32, 32), 10), torch.zeros(1, 3, 32, 32)) == without_projections + projections


@pytest.mark.parametrize("depth", [2, 18, 57])
def test_a_depth_that_does_not_exist_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"such as 20 or 56, got {depth}"):
        CifarResNet(depth)
