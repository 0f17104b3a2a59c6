"""Finds in a LightningModule what is to be pruned, and in a batch what it is called with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.example import ExampleInput
from physprune_pl.networks.names import uncompiled


def resolve_module(pl_module: nn.Module, name: str | None = None) -> nn.Module:
    """Return the network to trace.

    That is the submodule ``name``; without a name the LightningModule itself when it has a ``forward`` of its own,
    else its only child with parameters. A compiled network is traced uncompiled.

    Raises:
        ValueError: when there is no such submodule, or no single child to choose.
    """
    return uncompiled(_named(pl_module, name) if name is not None else _only(pl_module))


def _named(pl_module: nn.Module, name: str) -> nn.Module:
    try:
        return pl_module.get_submodule(name)
    except AttributeError:
        children = [child for child, _ in pl_module.named_children()]
        kind = type(pl_module).__name__
        raise ValueError(f"module: expected a submodule of {kind}, such as one of {children}, got {name!r}") from None


def _only(pl_module: nn.Module) -> nn.Module:
    # By name, so that it holds for the pytorch_lightning package too.
    if type(pl_module).forward.__qualname__ != "LightningModule.forward":
        return pl_module
    children = {name: child for name, child in pl_module.named_children() if any(True for _ in child.parameters())}
    if len(children) != 1:
        raise ValueError(
            f"module: {type(pl_module).__name__} defines no forward and has {len(children)} children with parameters "
            f"({', '.join(children) or 'none'}); expected module='name' of the network to prune"
        )
    return next(iter(children.values()))


def example_from_batch(batch: Any, model: nn.Module) -> ExampleInput:
    """Return the part of a training batch that the network is called with.

    A tensor is taken as it is, of a tuple or list the first element (a nested one holds positional arguments) or as
    many as ``forward`` cannot do without, of a mapping the entries that ``forward`` names.

    Raises:
        ValueError: when no such part is found; the message asks for ``example_input``.
    """
    first = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if isinstance(first, Tensor):
        needed = _required(model)
        return tuple(batch[:needed]) if first is not batch and 1 < needed <= len(batch) else first
    if isinstance(first, Mapping) and (accepted := _accepted(first, model)):
        return accepted
    if isinstance(first, list | tuple) and first and first is not batch:
        return tuple(first)
    raise ValueError(
        f"example_input: expected to find the network's input in the first training batch, got {type(batch).__name__}; "
        "give example_input (a tensor, a tuple of positional or a dict of keyword arguments)"
    )


def _required(model: nn.Module) -> int:
    """Return the number of positional arguments of ``forward`` without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    return sum(parameter.kind in kinds and parameter.default is parameter.empty for parameter in parameters)


def _accepted(batch: Mapping[Any, Any], model: nn.Module) -> dict[str, Any]:
    parameters = inspect.signature(model.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(batch)
    names = {parameter.name for parameter in parameters}
    return {name: value for name, value in batch.items() if name in names}
