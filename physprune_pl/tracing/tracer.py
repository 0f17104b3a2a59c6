"""Tracing: from a model and an example input to the groups of channels that can be removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.ignored import Ignore, Ignored
from physprune_pl.networks.isolation import untouched, with_shapes
from physprune_pl.networks.measure import macs_of_run
from physprune_pl.networks.names import named_tensors, plain, uncompiled
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.preparing.traceable import traceable
from physprune_pl.probing.watching.observations import Family, Mixing
from physprune_pl.structure import ChannelGroup, LeftWhole, MixingCall, Reasons, Trace
from physprune_pl.tools.garbage import only_new_garbage
from physprune_pl.tracing.both_modes import collect
from physprune_pl.tracing.checking.verification import verified
from physprune_pl.tracing.evidence.coupling import find_groups
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.evidence.following import follow
from physprune_pl.tracing.first_runs import first_runs
from physprune_pl.tracing.named_heads import heads_by_call


def trace(model: nn.Module, example_input: object, ignore: Ignore | Ignored = ()) -> Trace:
    """Find the channels that a model's structure couples, by running it with tainted channels.

    The model is run many times on one or two samples, in eval and in train mode; its parameters, buffers, modes and
    the global random generators are as before afterwards.

    Args:
        model: any module; a compiled one is traced as the module it was made from.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.
        ignore: name, regular expression or object of modules whose output channels are not pruned, or several.

    Returns:
        The groups, what is not pruned and why, and what every call costs.

    Raises:
        TypeError: ``example_input`` is of another type.
        ValueError: the model does not run on ``example_input``, or an entry of ``ignore`` stands for no module.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> [(group.name, group.size) for group in trace(net, torch.zeros(1, 4)).groups]
        [('0', 3)]
    """
    start = time.perf_counter()
    model = uncompiled(model)
    example = Example.of(example_input).to(model)
    ignored = Ignored.of(ignore).names(model)
    with_shapes(model, example)
    with only_new_garbage(), untouched(model) as saved, traceable(model):
        runs = first_runs(model, example, saved)
        example = runs.example
        evidence, notes = collect(model, runs)
        follow(model, example.followers, evidence)
        for family in _producing(evidence):
            if plain(family[0]).rpartition(".")[0] in ignored:
                evidence.block(family, "ignored by the user: its outputs stay, its inputs may shrink")
        found = _assemble(model, evidence, notes, _macs(model, example))
        saved.parameters.restore()  # the check runs copies only, and needs the memory
        found = verified(model, example, found, _doubts(found.groups, evidence)) if found.groups else found
    return replace(found, seconds=time.perf_counter() - start)


def _macs(model: nn.Module, example: Example) -> int:
    steady = SavedState(model)
    macs = macs_of_run(model, example)
    steady.restore()
    return macs


def _assemble(model: nn.Module, evidence: Evidence, notes: tuple[str, ...], macs: int) -> Trace:
    tensors = named_tensors(model)
    buffers = frozenset(dict(model.named_buffers()))
    found = find_groups(evidence, frozenset(tensors) - buffers, buffers)
    calls = (*(_call(mixing, found.across) for mixing in evidence.mixings if mixing.positions), *found.products)
    called = [mixing.weight for mixing in evidence.mixings]
    used = _used(model, evidence, buffers)
    unused = [LeftWhole(name, _UNUSED) for name in _without_any(model, used)]
    return Trace(
        groups=tuple(found.groups),
        left_whole=(*found.left_whole, *unused),
        calls=calls,
        seconds=0.0,
        shapes={name: tuple(tensor.shape) for name, tensor in tensors.items()},
        parameters=used,
        notes=notes,
        fixed_macs=macs - sum(call.macs(tensors[call.weight].shape) for call in calls),
        buffers=buffers,
        sizes=(*found.sizes, *heads_by_call(model, called, found.groups, found.sizes)),
    )


def trace_groups(model: nn.Module, example_input: object) -> list[ChannelGroup]:
    """Return the groups of channels of a model that can be removed.

    The model is as before afterwards; :func:`trace` also tells what is not pruned, and why.

    Args:
        model: any module; a compiled one is traced as the module it was made from.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.

    Raises:
        TypeError: ``example_input`` is of another type.
        ValueError: the model does not run on ``example_input``.

    >>> import torch
    >>> (group,) = trace_groups(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 4))
    >>> group.size, sorted((part.name, part.dim, part.role) for part in group.slices)
    (3, [('0.bias', 0, 'carrier'), ('0.weight', 0, 'filter'), ('2.weight', 1, 'consumer')])
    """
    return list(trace(model, example_input).groups)


_UNUSED = "nothing that was traced runs it, and no cost counts it"


def _used(model: nn.Module, evidence: Evidence, buffers: frozenset[str]) -> frozenset[str]:
    """Return the parameters that a run uses; what is compiled by TorchScript does not show which."""
    scripted = [module for module in model.modules() if isinstance(module, torch.jit.ScriptModule)]
    hidden = {id(parameter) for module in scripted for parameter in module.parameters()}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in hidden}
    return frozenset(evidence.used | names) - buffers


def _without_any(model: nn.Module, used: frozenset[str]) -> Iterator[str]:
    """Yield the largest modules with parameters of which none is used, and single unused parameters of others."""
    unused = {id(parameter) for name, parameter in model.named_parameters() if name not in used}
    told: set[int] = set()
    for name, module in model.named_modules():
        own = {id(parameter) for parameter in module.parameters()}
        if name and own and own <= unused and not own <= told:
            told |= own
            yield name
    yield from (name for name, parameter in model.named_parameters() if id(parameter) in unused - told)


def _call(mixing: Mixing, across: Mapping[str, Family]) -> MixingCall:
    return MixingCall(mixing.weight, mixing.positions, share=mixing.share, across=across.get(mixing.weight))


def _doubts(groups: Iterable[ChannelGroup], evidence: Evidence) -> Reasons:
    """Return why the cut of some groups is likely to change something: what reads them is standardised first."""
    read = [(group.name, part) for group in groups for part in group.slices if part.role == "consumer"]
    standardised = [(name, part) for name, part in read if (part.name, part.dim) in evidence.standardised]
    return {name: f"read by {plain(part.name).rpartition('.')[0]}, {_STANDARDISED}" for name, part in standardised}


_STANDARDISED = "whose weight is standardised over its inputs before it is used: each of them changes all others"


def _producing(evidence: Evidence) -> list[Family]:
    """Return where channels are made or changed on their way: norms and scales too, but nothing that only reads."""
    return [family for family in evidence.sizes if family in evidence.sources or family not in evidence.readers]
