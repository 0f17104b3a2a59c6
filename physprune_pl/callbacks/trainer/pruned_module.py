"""Finds in a LightningModule what is to be pruned."""

from __future__ import annotations

from torch import nn

from physprune_pl.networks.names import plain, uncompiled
from physprune_pl.tools.choices import unknown


def resolve_module(pl_module: nn.Module, name: str | None = None) -> nn.Module:
    """Return the network to trace.

    That is the submodule ``name``; without a name the only child with parameters of a LightningModule that has no
    ``forward`` of its own, else the LightningModule itself. A compiled network is traced uncompiled.

    Raises:
        ValueError: when there is no such submodule.
    """
    return uncompiled(_named(pl_module, name) if name is not None else _only(pl_module))


def _named(pl_module: nn.Module, name: str) -> nn.Module:
    try:
        return pl_module.get_submodule(name)
    except AttributeError:
        names = sorted((plain(one) for one, _ in pl_module.named_modules() if one), key=lambda one: one.count("."))
        what = f"a submodule of {type(pl_module).__name__}, such as one of"
        raise ValueError(unknown("module", name, names, what)) from None


def _only(pl_module: nn.Module) -> nn.Module:
    # By name, so that it holds for the pytorch_lightning package too.
    if type(pl_module).forward.__qualname__ != "LightningModule.forward":
        return pl_module
    own = any(True for _ in pl_module.parameters(recurse=False))
    children = [child for child in pl_module.children() if any(True for _ in child.parameters())]
    return children[0] if len(children) == 1 and not own else pl_module
