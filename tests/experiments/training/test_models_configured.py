"""Every file of ``conf/model`` for pictures: it builds a network that runs, is traced and can be cut."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from experiments.training.assembly import build_network, composed
from physprune_pl import apply_plan, plan_pruning, trace_groups
from physprune_pl.networks.measure import count_macs

CONF = Path(__file__).parents[3] / "conf" / "model"
OTHERS = {"text_encoder", "patch_transformer", "minilm", "efficientnet_lite0"}
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem not in OTHERS)
NATURAL = {"lenet5": (1, 28, 28)}
QUICK = {"lenet5", "resnet20"}


def network_of(name, shape, *overrides):
    if name == "timm":
        pytest.importorskip("timm", reason="timm is an extra: pip install 'physprune_pl[timm]'")
    torch.manual_seed(0)
    config = composed([f"model={name}", *overrides])
    return build_network(config.model, SimpleNamespace(sizes={"shape": shape, "classes": 5}))


def marked(names):
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_that_weights_may_be_given(name):
    assert OmegaConf.load(CONF / f"{name}.yaml").weights is None


@pytest.mark.parametrize("name", NAMES)
def test_every_network_runs_on_pictures_of_its_size(name):
    shape = NATURAL.get(name, (3, 32, 32))
    assert network_of(name, shape).eval()(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("name", marked(NAMES))
def test_every_network_is_traced(name):
    shape = (3, 8, 8)
    assert trace_groups(network_of(name, shape), torch.randn(2, *shape))


@pytest.mark.parametrize("name", marked(["lenet5", "mobilenet_v2", "resnet20", "torchvision", "vgg11_bn"]))
def test_half_of_the_multiply_adds_can_be_cut(name):
    example = torch.randn(2, 3, 8, 8)
    network = network_of(name, (3, 8, 8))
    before = count_macs(network, example)
    apply_plan(network, plan_pruning(network, example, target={"macs": 0.5}))
    assert count_macs(network, example) / before == pytest.approx(0.5, rel=0.02)
    assert network(example).shape == (2, 5)


def test_options_are_plain_dictionaries():
    network = network_of("torchvision", (3, 32, 32), "model.name=mobilenet_v2", "+model.options.width_mult=0.25")
    assert network.features[0][0].out_channels == 8


@pytest.mark.parametrize(("name", "shape"), [("torchvision", (1, 8, 8)), ("resnet20", (64,))])
def test_a_shape_that_does_not_fit_is_shown_as_it_is(name, shape):
    # Hydra 1.4 lets the error of the network through, 1.3 wraps it.
    with pytest.raises((InstantiationException, ValueError), match=f"have (shape )?{re.escape(str(shape))}"):
        network_of(name, shape)
