"""Sizes of the experiments' networks against published counts, and the networks against independent ones."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import vgg

from experiments.training import models
from experiments.training.models import CifarResNet, CifarVGG, lenet5, mobilenet_v2
from physprune_pl.networks.measure import count_macs, count_parameters

COUNTS = [  # name, shape, classes, parameters
    ("resnet20", (3, 32, 32), 10, 272_474),
    ("resnet32", (3, 32, 32), 10, 466_906),
    ("resnet44", (3, 32, 32), 10, 661_338),
    ("resnet56", (3, 32, 32), 10, 855_770),
    ("resnet110", (3, 32, 32), 10, 1_730_714),
    ("lenet5", (1, 28, 28), 10, 61_706),
    ("vgg11_bn", (3, 32, 32), 10, 9_231_114),
    ("vgg16_bn", (3, 32, 32), 10, 14_728_266),
    ("vgg19_bn", (3, 32, 32), 100, 20_086_692),
    ("mobilenet_v2", (3, 32, 32), 10, 2_236_682),
]
NAMES = [row[0] for row in COUNTS]


@pytest.mark.parametrize(("name", "shape", "classes", "parameters"), COUNTS)
def test_parameters_are_the_published_number(name, shape, classes, parameters):
    assert count_parameters(getattr(models, name)(shape, classes)) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_scores_have_one_column_per_class(name, shape):
    network = getattr(models, name)(shape, 7)
    assert network(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("name", NAMES)
def test_examples_that_are_no_pictures_are_refused(name):
    with pytest.raises(ValueError, match=rf"model={name} needs pictures .* have \(64,\)"):
        getattr(models, name)((64,), 2)


# Parameters in millions: table 6 of He et al. Multiply-adds in millions, where known: the dense networks of Soft Filter
# Pruning (depths 20, 32) and HRank (56, 110). All count networks whose shortcuts have no parameters.
RESNETS = [(20, 0.27, 40.6), (32, 0.46, 68.9), (44, 0.66, None), (56, 0.85, 125.49), (110, 1.7, 252.89)]


@pytest.mark.parametrize(("depth", "parameters", "macs"), RESNETS)
def test_projections_are_all_that_a_resnet_has_more_than_the_paper(depth, parameters, macs):
    network = CifarResNet(depth)
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert (count_parameters(network) - projections) / 1e6 == pytest.approx(parameters, rel=0.02)
    if macs:
        found = count_macs(network, torch.zeros(1, 3, 32, 32)) - 16 * 32 * 16**2 - 32 * 64 * 8**2
        assert found / 1e6 == pytest.approx(macs, rel=2e-3)


@pytest.mark.parametrize("depth", [20, 44])
def test_multiply_adds_of_a_resnet_by_hand(depth):
    n = (depth - 2) // 6
    by_hand = 16 * 9 * (3 + 16 * 2 * n) * 32**2 + (16 * 32 + 32 * 32 * (2 * n - 1)) * 9 * 16**2
    by_hand += (32 * 64 + 64 * 64 * (2 * n - 1)) * 9 * 8**2 + 64 * 10
    projections = 16 * 32 * 16**2 + 32 * 64 * 8**2
    assert count_macs(CifarResNet(depth), torch.zeros(1, 3, 32, 32)) == by_hand + projections


@pytest.mark.parametrize("depth", [2, 18, 57])
def test_a_depth_that_does_not_exist_is_refused(depth):
    with pytest.raises(ValueError, match=f"such as 20 or 56, got {depth}"):
        CifarResNet(depth)


def test_multiply_adds_of_lenet_by_hand():
    by_hand = 25 * 6 * 28**2 + 6 * 25 * 16 * 10**2 + 400 * 120 + 120 * 84 + 84 * 10
    assert count_macs(lenet5((1, 28, 28), 10), torch.zeros(1, 1, 28, 28)) == by_hand


@pytest.mark.parametrize(
    ("name", "configuration", "macs"),
    [("vgg11_bn", "A", 152.8), ("vgg16_bn", "D", 313.2), ("vgg19_bn", "E", 398.1)],
)
def test_a_vgg_is_torchvisions_with_one_linear_layer(name, configuration, macs):
    ours = getattr(models, name)((3, 32, 32), 10)
    features = vgg.make_layers(vgg.cfgs[configuration], batch_norm=True)
    assert_same_network(ours, nn.Sequential(features, nn.Flatten(), nn.Linear(512, 10)))
    assert count_macs(ours, torch.zeros(1, 3, 32, 32)) / 1e6 == pytest.approx(macs, rel=1e-3)


def test_vgg_repeats_that_do_not_exist_are_refused():
    for repeats in [(1, 1, 1, 1), (2, 2, 0, 2, 2)]:
        with pytest.raises(ValueError, match=r"repeats: expected five numbers of at least 1, got \("):
            CifarVGG(repeats)


def test_mobilenet_is_torchvisions_with_two_strides_less():
    theirs = torchvision.models.mobilenet_v2(weights=None, num_classes=10)
    theirs.features[0][0].stride = theirs.features[2].conv[1][0].stride = (1, 1)
    assert_same_network(mobilenet_v2((3, 32, 32), 10), theirs)


def test_multiply_adds_of_mobilenet_by_hand():
    by_hand = 3 * 32 * 9 * 32**2 + (32 * 9 + 32 * 16) * 32**2
    blocks = [  # inputs, outputs, side of the picture before and after, expanded 6 times
        *[(16, 24, 32, 32), (24, 24, 32, 32), (24, 32, 32, 16), (32, 32, 16, 16), (32, 32, 16, 16)],
        *[(32, 64, 16, 8), (64, 64, 8, 8), (64, 64, 8, 8), (64, 64, 8, 8)],
        *[(64, 96, 8, 8), (96, 96, 8, 8), (96, 96, 8, 8)],
        *[(96, 160, 8, 4), (160, 160, 4, 4), (160, 160, 4, 4), (160, 320, 4, 4)],
    ]
    for inputs, outputs, before, after in blocks:
        by_hand += inputs * 6 * inputs * before**2 + 6 * inputs * (9 + outputs) * after**2
    by_hand += 320 * 1280 * 4**2 + 1280 * 10
    assert by_hand == 87_976_448
    assert count_macs(mobilenet_v2((3, 32, 32), 10), torch.zeros(1, 3, 32, 32)) == by_hand


def assert_same_network(ours: nn.Module, theirs: nn.Module) -> None:
    """Tensors of the same shapes in the same order, and with the same weights the same scores."""
    values = list(ours.state_dict().values())
    names = list(theirs.state_dict())
    theirs.load_state_dict(dict(zip(names, values, strict=True)))
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(pictures), theirs.eval()(pictures))
