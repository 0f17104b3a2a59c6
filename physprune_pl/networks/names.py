"""Names of a network's modules and tensors, free of what compiling puts in front of them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar

from torch import Tensor, nn

T = TypeVar("T")

COMPILED = "_orig_mod"


def plain(name: str) -> str:
    """The name of a module or tensor, or a pattern for names, without the marks that ``torch.compile`` puts in.

    >>> plain("net._orig_mod.conv.weight"), plain("net._orig_mod")
    ('net.conv.weight', 'net')
    """
    return ".".join(part for part in name.split(".") if part.rstrip("\\") != COMPILED)


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the network that ``torch.compile`` wrapped; any other network itself.

    >>> layer = nn.Linear(3, 2)
    >>> uncompiled(layer) is layer
    True
    """
    original: nn.Module = getattr(model, COMPILED, model)
    return original


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer of a model by name, a tied one once, under its first name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def tensors_by_every_name(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by plain name; a tied tensor appears under each of its names."""
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    return {plain(name): tensor for part in (parameters, buffers) for name, tensor in part}


def under_every_name(values: Mapping[str, T], model: nn.Module) -> dict[str, T]:
    """What is known of tensors by plain name, under every name that a model has for each of them.

    >>> layer = nn.Linear(3, 2)
    >>> sorted(under_every_name({"0.bias": 7}, nn.Sequential(layer, layer)))
    ['0.bias', '1.bias']
    """
    tensors = tensors_by_every_name(model)
    known = {id(tensors[name]): value for name, value in values.items() if name in tensors}
    return {**values, **{name: known[id(one)] for name, one in tensors.items() if id(one) in known}}


def follow_names(weights: MutableMapping[str, Any], model: nn.Module) -> None:
    """Call the entries of a state_dict, in place, what a model calls them: one of the two may have compiled parts.

    >>> weights = {"0._orig_mod.bias": 1, "1.bias": 2}
    >>> follow_names(weights, nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)))
    >>> weights
    {'0.bias': 1, '1.bias': 2}
    """
    # Of a compiled module and its original, which have one plain name, the original comes last.
    paths = {plain(name): name for name, _ in model.named_modules(remove_duplicate=False)}
    _rename(weights, {name: _tensor_path(name, paths) for name in weights})
    versions = getattr(weights, "_metadata", {})
    _rename(versions, {name: paths.get(plain(name), name) for name in versions})


def _tensor_path(name: str, paths: Mapping[str, str]) -> str:
    """Return the name of a tensor in a model whose modules have these paths, given plain name -> path."""
    owner, _, leaf = plain(name).rpartition(".")
    path = paths.get(owner, owner)
    return f"{path}.{leaf}" if path else leaf


def _rename(values: MutableMapping[str, Any], names: Mapping[str, str]) -> None:
    entries = {names[name]: value for name, value in values.items()}
    values.clear()
    values.update(entries)
