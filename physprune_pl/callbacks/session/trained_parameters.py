"""What a fit trains of a module: what its optimizers hold, and what nothing would ever change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lightning.pytorch import Trainer
from torch import nn

from physprune_pl.callbacks.trainer.injection import held_ids
from physprune_pl.structure import ChannelGroup, Reasons, Trace, made_by_none


def held_names(trainer: Trainer, module: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that some optimizer holds; without optimizers, of all."""
    held = held_ids(trainer.optimizers)
    return frozenset(name for name, one in module.named_parameters() if not held or id(one) in held)


def trained_names(trainer: Trainer, module: nn.Module) -> frozenset[str]:
    """Return the names of those that are not frozen."""
    trainable = {name for name, one in module.named_parameters() if one.requires_grad}
    return held_names(trainer, module) & trainable


def unpressed_groups(trainer: Trainer, network: nn.Module, groups: Sequence[ChannelGroup]) -> Reasons:
    """Return the groups that no force can empty, with the reason why they are not pruned."""
    trainable = {name for name, one in network.named_parameters() if one.requires_grad}
    frozen = made_by_none(groups, trainable, "all parameters that produce its channels are frozen")
    held = made_by_none(groups, held_names(trainer, network), "no optimizer holds what produces its channels")
    return {**held, **frozen}


def unreached(trainer: Trainer, module: nn.Module, network: nn.Module, trace: Trace) -> dict[str, nn.Parameter]:
    """Return the trained parameters of a module, by name, that a trace of the network in it has not seen."""
    seen = {id(one) for name, one in network.named_parameters() if name in trace.parameters}
    trained = trained_names(trainer, module)
    return {name: one for name, one in module.named_parameters() if name in trained and id(one) not in seen}


@contextmanager
def thawed(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Let parameters be trainable for the moment."""
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
