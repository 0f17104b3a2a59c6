"""Networks of torchvision and timm by name: ``model=torchvision model.name=resnet18``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torchvision
from torch import nn

from experiments.training.models.layers import Shape, colours
from physprune_pl.tools.choices import unknown


def torchvision_model(
    shape: Shape, classes: int, name: str, pretrained: str | None = None, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return a classification network of ``torchvision.models``.

    Args:
        shape: of one picture; torchvision's networks take 3 colours.
        classes: number of scores.
        name: such as "resnet18", see ``torchvision.models.list_models(module=torchvision.models)``.
        pretrained: name of published weights, such as "DEFAULT", which are downloaded; their head is replaced by a
            fresh linear layer unless it has the right size.
        options: further arguments of the factory.

    Raises:
        ValueError: for an unknown name, pictures that are not of 3 colours, or pretrained weights that do not exist or
            belong to a network without a linear head.
    """
    if colours(shape, "torchvision") != 3:
        raise ValueError(
            f"model=torchvision: its networks take 3 colours, the pictures of data have shape {tuple(shape)}; "
            "choose another model, or data with 3 colours such as cifar10"
        )
    _known("model.name", name, torchvision.models.list_models(module=torchvision.models))
    factory = torchvision.models.get_model_builder(name)
    if pretrained is None:
        network: nn.Module = factory(num_classes=classes, **(options or {}))
        return network
    _known("model.pretrained", pretrained, ["DEFAULT", *torchvision.models.get_model_weights(name).__members__])
    return with_head(factory(weights=pretrained, **(options or {})), classes)


def timm_model(
    shape: Shape, classes: int, name: str, pretrained: bool = False, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return a network of timm, with as many input channels as the pictures have colours.

    Args:
        shape: of one picture.
        classes: number of scores.
        name: such as "resnet18" or "vit_tiny_patch16_224", see ``timm.list_models()``.
        pretrained: start from published weights, which are downloaded; timm fits input and head.
        options: further arguments of the factory, such as ``{"img_size": 32}`` for a vision transformer.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: for an unknown name.
    """
    timm = _timm()
    if not timm.is_model(name):
        _known("model.name", name, timm.list_models())
    inputs = colours(shape, "timm")
    network: nn.Module = timm.create_model(
        name, pretrained=pretrained, num_classes=classes, in_chans=inputs, **(options or {})
    )
    return network


def with_head(network: nn.Module, classes: int) -> nn.Module:
    """Put a fresh linear layer in the place of the last one; a head that has the right size already stays.

    Raises:
        ValueError: the last module is no linear layer.
    """
    name, head = list(network.named_modules())[-1]
    if not isinstance(head, nn.Linear):
        raise ValueError(f"model.pretrained: expected a network that ends in a linear layer, got {name}: {head}")
    if head.out_features != classes:
        network.set_submodule(name, nn.Linear(head.in_features, classes))
    return network


def _known(argument: str, name: str, names: Sequence[str]) -> None:
    if name in names:
        return
    raise ValueError(unknown(argument, name, sorted(names), "a name such as"))


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ModuleNotFoundError("model=timm needs timm: pip install 'physprune_pl[timm]'") from error
    return timm
