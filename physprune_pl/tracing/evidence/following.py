"""Tensors that a program computes from others between runs, such as the weights of a momentum encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from physprune_pl.networks.names import named_tensors
from physprune_pl.tracing.evidence.evidence import Evidence


def follow(model: nn.Module, followers: Mapping[str, str], evidence: Evidence) -> None:
    """Couple every index of a tensor with the same index of the one that it is computed from: they are cut alike.

    Args:
        model: the traced model.
        followers: name of a tensor -> name of the one that it is computed from, of the same shape.
        evidence: what is known, to be added to.
    """
    tensors = named_tensors(model)
    for name, leader in _pairs(model, followers):
        evidence.used.add(name)
        for dim, size in enumerate(tensors[name].shape):
            index = torch.arange(size)
            for family in ((name, dim), (leader, dim)):
                evidence.sizes.setdefault(family, size)
            evidence.link((name, dim), index, (leader, dim), index)


def _pairs(model: nn.Module, followers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the tensors that follow others, and the buffers beside them: running statistics are never written to."""
    yield from followers.items()
    buffers = {name: tuple(buffer.shape) for name, buffer in model.named_buffers()}
    owners = {_owner(name): _owner(leader) for name, leader in followers.items()}
    for name, shape in buffers.items():
        owner, _, own = name.rpartition(".")
        leader = f"{owners[owner]}.{own}".lstrip(".") if owner in owners else name
        if name not in followers and leader != name and buffers.get(leader) == shape:
            yield name, leader


def _owner(name: str) -> str:
    return name.rpartition(".")[0]
