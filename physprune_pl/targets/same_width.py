"""Layers of one kind keep one width: groups of which the same share of channels stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from math import gcd

import numpy as np
import torch
from torch import nn

from physprune_pl.networks.isolation import twin
from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup, Trace, without
from physprune_pl.surgery.apply import cut
from physprune_pl.surgery.configs.following import Followed, followed
from physprune_pl.surgery.plan import make_plan
from physprune_pl.targets.widths import Ints, Widths, stands_for

AUTO = "auto"
_NO_NUMBER = "no number in the config of the model can say its width alone, which same_width asks for"


def tied(model: nn.Module, trace: Trace, widths: Widths) -> Trace:
    """Return a trace whose groups are tied as ``same_width`` of the widths asks.

    Groups are of one kind if their names, and those of their tensors, differ in numbers only. With ``"auto"`` the
    groups of a transformers model are of one kind if the same numbers of its config stand for their widths, and those
    whose width no number can say are not pruned.
    """
    if not widths.same_width:
        return trace
    widths.check_same_width(trace.groups)
    parts = list(followed(model)) if widths.same_width == AUTO else []
    kinds: dict[object, list[ChannelGroup]] = {}
    for group in trace.groups:
        if widths.same_width == AUTO or any(stands_for(pattern, group) for pattern in widths.same_width):
            kinds.setdefault(_numbers(group, parts) or _kind(group), []).append(group)
    ties = [tuple(group.name for group in groups) for groups in kinds.values()]
    found = replace(trace, ties=tuple(ties))
    unsaid = [names for names in ties if parts and not _said(model, found, names)]
    return without(found, {name: _NO_NUMBER for names in unsaid for name in names})


def _numbers(group: ChannelGroup, parts: Iterable[Followed]) -> object:
    """Return the numbers of configs that stand for the width of a group."""
    places = [(plain(part.name), part.dim) for part in group.slices]
    found = (part.numbers_behind(places) for part in parts)
    return next((numbers for numbers in found if numbers), None)


def _kind(group: ChannelGroup) -> object:
    slices = {(_unnumbered(part.name), part.dim, part.role) for part in group.slices}
    return _unnumbered(group.name), group.size, frozenset(slices)


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "#", plain(name))


def _said(model: nn.Module, trace: Trace, names: Sequence[str]) -> bool:
    """Return whether configs can say that some groups, and no others, have lost the smallest share that they can."""
    steps = reduce(gcd, (group.size for group in trace.groups if group.name in names))
    masks = [torch.arange(group.size) * steps < group.size * (group.name in names) for group in trace.groups]
    if steps == 1:
        return True  # there is none, so they stay as they are
    removed = [group.leaving_one(mask) for group, mask in zip(trace.groups, masks, strict=True)]
    smaller = cut(twin(model), make_plan(trace, removed, macs=(0, 0), params=(0, 0)))
    return all(part.describes() for part in followed(smaller))


def ladders_of(trace: Trace) -> Ints:
    """Return for every group the number of the ladder that it goes down, together with those that it is tied to."""
    tie = {name: names[0] for names in trace.ties for name in names}
    heads = [tie.get(group.name, group.name) for group in trace.groups]
    numbers = {head: number for number, head in enumerate(dict.fromkeys(heads))}
    return np.array([numbers[head] for head in heads], dtype=np.intp)


def in_common(removable: Sequence[Ints], sizes: Sequence[int], ladders: Ints) -> list[Ints]:
    """Return of the numbers of channels that each group may lose those at which all tied to it lose the same share.

    >>> [numbers.tolist() for numbers in in_common([np.arange(8), np.arange(4)], [8, 4], np.array([0, 0]))]
    [[0, 2, 4, 6], [0, 1, 2, 3]]
    """
    shares = [{Fraction(int(n), size) for n in numbers} for numbers, size in zip(removable, sizes, strict=True)]
    common = [
        reduce(set[Fraction].intersection, (shares[other] for other in np.flatnonzero(ladders == ladder)))
        for ladder in ladders
    ]
    return [
        np.array(sorted(int(share * size) for share in found), dtype=np.intp)
        for found, size in zip(common, sizes, strict=True)
    ]
