"""The networks of the zoo: random weights, and inputs as small as each of them allows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torchvision
from torch import nn

from experiments.zoo.families import FURTHER
from experiments.zoo.handwritten import HANDWRITTEN
from experiments.zoo.network import CLASSES, Network, on_pictures
from experiments.zoo.transformers_families import FAMILIES
from experiments.zoo.transformers_networks import TRANSFORMERS


def make(name: str) -> tuple[nn.Module, Any]:
    """Return a network of ``NETWORKS`` with random weights, and a batch of random inputs for it."""
    return NETWORKS[name].make()


def _torchvision(name: str, pixels: int = 32, note: str = "", **options: Any) -> dict[str, Network]:
    def build() -> nn.Module:
        network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)
        return network

    return {name: on_pictures("torchvision", pixels, build, note)}


def _timm(name: str, pixels: int = 32, **options: Any) -> dict[str, Network]:
    def build() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=CLASSES, **options)
        return network

    return {f"timm:{name}": on_pictures("timm", pixels, build)}


def _maxvit() -> nn.Module:
    network: nn.Module = torchvision.models.MaxVit(
        input_size=(64, 64),
        stem_channels=64,
        partition_size=2,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        head_dim=32,
        stochastic_depth_prob=0.2,
        num_classes=CLASSES,
    )
    return network


def _detection() -> nn.Module:
    detector = torchvision.models.get_model(
        "fasterrcnn_mobilenet_v3_large_320_fpn", weights=None, weights_backbone=None, num_classes=CLASSES
    )
    backbone: nn.Module = detector.backbone
    return backbone


TORCHVISION: Mapping[str, Network] = {
    **_torchvision("alexnet", 64),
    **_torchvision("vgg19_bn"),
    **_torchvision("resnet18"),
    **_torchvision("resnet50"),
    **_torchvision("resnext50_32x4d"),
    **_torchvision("wide_resnet50_2"),
    **_torchvision("densenet121"),
    **_torchvision("mobilenet_v2"),
    **_torchvision("mobilenet_v3_small"),
    **_torchvision("efficientnet_b0"),
    **_torchvision("efficientnet_v2_s"),
    **_torchvision("convnext_tiny"),
    **_torchvision("regnet_y_400mf"),
    **_torchvision("squeezenet1_1"),
    **_torchvision("googlenet", 64, init_weights=False),
    **_torchvision(
        "inception_v3",
        96,
        "without the auxiliary classifier, which needs pictures of 299 pixels",
        init_weights=False,
        aux_logits=False,
    ),
    **_torchvision("mnasnet1_0"),
    **_torchvision("shufflenet_v2_x1_0"),
    **_torchvision("vit_b_16", 64, image_size=64),
    **_torchvision("swin_t", 64),
    **_torchvision("swin_v2_t", 64),
    "maxvit_t": on_pictures("torchvision", 64, _maxvit, "windows of 2 x 2: windows of 7 x 7 need 224 pixels"),
    **_torchvision("fcn_resnet50", 64, weights_backbone=None),
    **_torchvision("deeplabv3_resnet50", 64, weights_backbone=None),
    "fasterrcnn_mobilenet_v3_large_320_fpn": on_pictures("torchvision", 64, _detection, "backbone and feature pyramid"),
}
TIMM: Mapping[str, Network] = {
    **_timm("resnet18d"),
    **_timm("convnext_atto"),
    **_timm("vit_tiny_patch16_224", 64, img_size=64),
    **_timm("deit_tiny_distilled_patch16_224", 64, img_size=64),
    **_timm("swin_tiny_patch4_window7_224", 64, img_size=64),
    **_timm("mobilenetv4_conv_small"),
    **_timm("efficientnet_b0"),
    **_timm("repvgg_a0"),
    **_timm("coatnet_nano_rw_224", 64, img_size=64),
}
_NARROW = {f"transformers:narrow {name}": network for name, network in FAMILIES.items()}
EVERY: Mapping[str, Network] = {**TORCHVISION, **TIMM, **TRANSFORMERS, **HANDWRITTEN, **FURTHER, **_NARROW}
NETWORKS: Mapping[str, Network] = {
    name: network for name, network in EVERY.items() if find_spec(network.library) is not None
}
