"""Networks of torchvision and timm by name."""

import sys

import pytest
import torch
import torchvision
from torch import nn

from experiments.training.models import timm_model, torchvision_model
from experiments.training.models.zoo import with_head

PICTURE = (3, 32, 32)


@pytest.mark.parametrize(("name", "options"), [("squeezenet1_1", {}), ("mobilenet_v2", {"width_mult": 0.25})])
def test_torchvision_has_the_head_of_the_data(name, options):
    network = torchvision_model(PICTURE, 7, name, options=options).eval()
    assert network(torch.zeros(2, *PICTURE)).shape == (2, 7)


def test_options_reach_torchvision():
    narrow = torchvision_model(PICTURE, 7, "mobilenet_v2", options={"width_mult": 0.25})
    assert narrow.features[0][0].out_channels == 8
    with pytest.raises(TypeError, match="widht"):
        torchvision_model(PICTURE, 7, "resnet18", options={"widht": 1})


def test_an_unknown_name_lists_close_ones():
    with pytest.raises(ValueError, match=r"model\.name: expected a name such as \['resnet18', .*, got 'resnet19'; did"):
        torchvision_model(PICTURE, 7, "resnet19")
    with pytest.raises(ValueError, match=r"such as \['alexnet', 'convnext_base', .* more, got '#'"):
        torchvision_model(PICTURE, 7, "#")
    with pytest.raises(ValueError, match="got 'fcn_resnet50'"):
        torchvision_model(PICTURE, 7, "fcn_resnet50")


def test_torchvision_wants_three_colours():
    with pytest.raises(ValueError, match=r"model=torchvision: its networks take 3 colours, .* data .* \(1, 8, 8\)"):
        torchvision_model((1, 8, 8), 10, "resnet18")
    with pytest.raises(ValueError, match="model=torchvision needs pictures"):
        torchvision_model((64,), 2, "resnet18")


@pytest.fixture
def published(monkeypatch):
    """Weights as they would be downloaded."""
    network = torchvision.models.shufflenet_v2_x0_5(weights=None)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: network.state_dict())
    return network


@pytest.mark.parametrize("pretrained", ["DEFAULT", "IMAGENET1K_V1"])
def test_published_weights_get_a_fresh_head(published, pretrained):
    network = torchvision_model(PICTURE, 7, "shufflenet_v2_x0_5", pretrained=pretrained)
    assert torch.equal(network.conv1[0].weight, published.conv1[0].weight)
    assert network.fc.weight.shape == (7, 1024)


def test_a_head_of_the_right_size_stays(published):
    network = torchvision_model(PICTURE, 1000, "shufflenet_v2_x0_5", pretrained="DEFAULT")
    assert torch.equal(network.fc.weight, published.fc.weight)


def test_published_weights_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"model\.pretrained: expected a name such as \['DEFAULT'.*'DEFAUL'; did"):
        torchvision_model(PICTURE, 7, "resnet18", pretrained="DEFAUL")


def test_a_head_that_is_no_linear_layer_is_refused():
    with pytest.raises(ValueError, match=r"ends in a linear layer, got 1: ReLU\(\)"):
        with_head(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), 3)
    inside = with_head(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(2, 2))), 3)
    assert inside(torch.zeros(1, 2)).shape == (1, 3)


def test_without_timm_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'physprune_pl\[timm\]'"):
        timm_model(PICTURE, 7, "resnet18")


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="timm is an extra: pip install 'physprune_pl[timm]'")


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "mobilenetv3_small_050.lamb_in1k"])
@pytest.mark.parametrize("colours", [1, 3])
def test_timm_has_the_input_and_the_head_of_the_data(timm, name, colours):
    network = timm_model((colours, 32, 32), 7, name).eval()
    assert network(torch.zeros(2, colours, 32, 32)).shape == (2, 7)


def test_options_reach_timm(timm):
    options = {"img_size": 16, "patch_size": 8, "depth": 1}
    network = timm_model((1, 16, 16), 7, "vit_tiny_patch16_224", options=options)
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 7)


def test_an_unknown_name_of_timm_lists_close_ones(timm):
    with pytest.raises(ValueError, match=r"model\.name: expected a name such as .*resnet18.*, got 'resnet17'"):
        timm_model(PICTURE, 7, "resnet17")
