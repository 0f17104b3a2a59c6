"""Starting from a checkpoint: ``model.weights`` on the command line."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from physprune_pl.networks.names import plain

Network = TypeVar("Network", bound=nn.Module)

# The name that the LightningModule of the experiments gives its network.
PREFIX = "network."
SHOWN = 3


def start_from(network: Network, path: str | Path) -> Network:
    """Load the weights of a checkpoint into a fresh network of the same sizes.

    A checkpoint for other classes, such as a published one of torchvision or timm, gives everything but its head: the
    network keeps its own, and a warning says so.

    Args:
        network: takes the weights in place.
        path: a state dict (``.safetensors`` too), or a Lightning checkpoint that holds one; names may begin with
            ``network.``.

    Returns:
        The network that came in.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no weights, or those of another network.
    """
    found = _tensors(path)
    expected = network.state_dict()
    if not found.keys() & expected.keys():
        found = {name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)}
    head = _other_head(network, found)
    if head:
        warnings.warn(
            f"model.weights={path} is for other classes: {' and '.join(head)} stay as they were drawn",
            stacklevel=2,
        )
        found |= head
    differences = _differences(expected, found)
    if differences:
        shown = "; ".join(differences[:SHOWN])
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise ValueError(
            f"model.weights={path} is no checkpoint of this network: {shown}{more}. Is it that of another model, or of "
            "other data? One of a network that was cut does not fit either; physprune_pl.load_pruned loads that"
        )
    network.load_state_dict(found)
    return network


def _other_head(network: nn.Module, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the last layer where a checkpoint has another number of classes there and agrees elsewhere.

    The last layer is the one of the last parameters; with other classes nothing but the first size of each differs.
    """
    expected = network.state_dict()
    last = list(expected)[-1].rpartition(".")[0]
    head = {name: value for name, value in expected.items() if name.rpartition(".")[0] == last}
    shapes, others = ({name: one.shape for name, one in each.items() if name not in head} for each in (expected, found))
    classes = all(
        name in found and len(value) != len(found[name]) and value.shape[1:] == found[name].shape[1:]
        for name, value in head.items()
    )
    return head if classes and shapes == others else {}


def _tensors(path: str | Path) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"model.weights={path}: no such file")
    try:
        saved = _read(Path(path))
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"model.weights={path} holds more than weights, or is no checkpoint: {error}") from error
    state = saved.get("state_dict", saved) if isinstance(saved, Mapping) else {}
    tensors = {plain(str(name)): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"model.weights={path}: expected a state dict or a Lightning checkpoint, found no tensors")
    return tensors


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What differs, tensor by tensor, in the network's order; tensors that it does not have come last."""
    absent = "none"
    shapes = {name: str(tuple(value.shape)) for name, value in expected.items()}
    others = {name: str(tuple(value.shape)) for name, value in found.items()}
    return [
        f"{name}: expected {shapes.get(name, absent)}, found {others.get(name, absent)}"
        for name in {**shapes, **others}
        if shapes.get(name) != others.get(name)
    ]
