"""The sizes that torch's own modules remember beside their weights: channels, features, conv and norm groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from physprune_pl.attention import remembered
from physprune_pl.networks.names import plain
from physprune_pl.surgery.instance_norms import any_width
from physprune_pl.surgery.remembered import size_changes

Shape = tuple[int, ...]
Sizes = dict[str, Any]
Changes = list[tuple[nn.Module, Sizes]]

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def sizes_of(
    model: nn.Module, shapes: Mapping[int, Shape], found: Mapping[str, tuple[int, int]] | None = None
) -> Changes:
    """What every module has to remember once its tensors have new shapes.

    Args:
        model: the network, as it is before the change.
        shapes: ``id`` of a parameter or buffer -> its new shape.
        found: path of an attribute -> its number before and after, of those that are known from elsewhere.

    Raises:
        ValueError: a grouped convolution or group norm would be left with a broken group, or a module with tensors
            that do not fit together, or an attribute that is not what it should be.
    """
    changes: Changes = []
    for name, module in model.named_modules():
        rule = next((rule for kinds, rule in _RULES if isinstance(module, kinds)), None)
        tensor = _sizing_tensor(module)
        companions = _companions(module)
        touched = any(id(one) in shapes for one in (tensor, *companions.values()))
        if rule is not None and tensor is not None and touched:
            sizes = rule(module, _shape(tensor, shapes), name)
            _check_companions(companions, next(iter(sizes.values())), shapes, name)
            changes.append((module, sizes))
        stand_in = any_width(module) if shapes else None
        if stand_in is not None:
            changes.append((module, {"__class__": stand_in}))
        heads = remembered(module, shapes, _known(found or {}, name))
        if heads:
            changes.append((module, heads))
    return changes + size_changes(model, found or {})


def _known(found: Mapping[str, tuple[int, int]], name: str) -> set[str]:
    """Return which attributes of a module are known from elsewhere."""
    prefix = f"{plain(name)}." if name else ""
    return {path.removeprefix(prefix) for path in found if path.startswith(prefix)}


def _shape(tensor: Tensor, shapes: Mapping[int, Shape]) -> Shape:
    return shapes.get(id(tensor), tuple(tensor.shape))


def _companions(module: nn.Module) -> dict[str, Tensor]:
    """Bias and statistics, which have one entry per output of the module."""
    own = {**module._parameters, **module._buffers}
    tensors = {name: own.get(name) for name in ("bias", "running_mean", "running_var")}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _check_companions(parts: Mapping[str, Tensor], size: int | Shape, shapes: Mapping[int, Shape], name: str) -> None:
    wanted = size if isinstance(size, tuple) else (size,)
    for part, tensor in parts.items():
        if (shape := _shape(tensor, shapes)) != wanted:
            raise ValueError(f"{name!r}: expected {part} of shape {wanted} beside its weight, got {shape}")


def set_attributes(changes: Changes) -> None:
    """Write what `sizes_of` found into the modules."""
    for module, sizes in changes:
        for name, value in sizes.items():
            setattr(module, name, value)


def _sizing_tensor(module: nn.Module) -> Tensor | None:
    """The tensor that has the shape of the weight: it may be parametrized, or a norm may have statistics only."""
    parametrizations = getattr(module, "parametrizations", None)
    if isinstance(parametrizations, nn.ModuleDict) and "weight" in parametrizations:
        return _largest(parametrizations["weight"].parameters(recurse=False))
    own = {**module._parameters, **module._buffers}
    names = ("weight", "weight_orig", "weight_v", "running_mean")
    return next((own[name] for name in names if own.get(name) is not None), None)


def _largest(tensors: Iterable[Tensor]) -> Tensor:
    return max(tensors, key=lambda tensor: tensor.numel())


def _whole_groups(size: int, per_group: int, name: str) -> int:
    if size % per_group:
        raise ValueError(f"{name!r}: {size} channels are no whole number of groups of {per_group}")
    return size // per_group


def _conv(module: Any, shape: Shape, name: str) -> Sizes:
    groups = 1 if module.groups == 1 else _whole_groups(shape[0], module.out_channels // module.groups, name)
    return {"out_channels": shape[0], "in_channels": shape[1] * groups, "groups": groups}


def _transposed(module: Any, shape: Shape, name: str) -> Sizes:
    groups = 1 if module.groups == 1 else _whole_groups(shape[0], module.in_channels // module.groups, name)
    return {"out_channels": shape[1] * groups, "in_channels": shape[0], "groups": groups}


def _group_norm(module: Any, shape: Shape, name: str) -> Sizes:
    alone = module.num_groups == 1
    groups = 1 if alone else _whole_groups(shape[0], module.num_channels // module.num_groups, name)
    return {"num_channels": shape[0], "num_groups": groups}


def _names(*attributes: str) -> Callable[[Any, Shape, str], Sizes]:
    return lambda _module, shape, _name: dict(zip(attributes, shape, strict=False))


def _normalized(_module: Any, shape: Shape, _name: str) -> Sizes:
    return {"normalized_shape": tuple(shape)}


_RULES: tuple[tuple[tuple[type[nn.Module], ...], Callable[[Any, Shape, str], Sizes]], ...] = (
    (_CONV, _conv),
    (_TRANSPOSED, _transposed),
    ((nn.Bilinear,), _names("out_features", "in1_features", "in2_features")),
    ((nn.Linear,), _names("out_features", "in_features")),
    ((nn.modules.batchnorm._NormBase,), _names("num_features")),
    ((nn.LayerNorm, nn.RMSNorm), _normalized),
    ((nn.GroupNorm,), _group_norm),
    ((nn.Embedding, nn.EmbeddingBag), _names("num_embeddings", "embedding_dim")),
    ((nn.PReLU,), _names("num_parameters")),
)
