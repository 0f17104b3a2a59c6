"""First-order importance of channels: what the loss would miss of each, read from gradients that are there anyway."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from physprune_pl.pressing.arrangement import Arranged
from physprune_pl.pressing.owners import owned_tensors, segments_of
from physprune_pl.strengths import widen
from physprune_pl.structure import ChannelGroup


class RunningMean:
    """The mean of squares of what steps tell of N channels, over all steps at first, then over about ``horizon`` ones.

    Args:
        sizes: names of groups and how many channels each has, in the order of the vectors.
        horizon: steps that it looks back on.

    Attributes:
        squares: the mean, [N].
        counts: how many steps have told anything of each channel, at most ``horizon``, [N].
        steps: how many have told anything at all.

    >>> mean = RunningMean({"conv": 2}, horizon=2)
    >>> for told in (4.0, 2.0, 0.0):
    ...     mean.add(torch.tensor([told, told]), torch.tensor([True, False]))
    >>> mean.squares, mean.counts
    (tensor([5., 0.]), tensor([2., 0.]))
    """

    def __init__(self, sizes: Mapping[str, int], horizon: int) -> None:
        self.sizes, self.horizon, self.steps = dict(sizes), horizon, 0
        self.squares = torch.zeros(sum(self.sizes.values()))
        self.counts = torch.zeros_like(self.squares)

    def add(self, told: Tensor, of: Tensor) -> None:
        """Add what a step tells of some channels; a step of which anything is not finite is none, as for a scaler.

        Args:
            told: what it tells, [N].
            of: of which channels, bool [N].
        """
        self.squares, self.counts = self.squares.to(told), self.counts.to(told)
        of = of & told.isfinite().all()
        self.counts = torch.where(of, (self.counts + 1).clamp(max=self.horizon), self.counts)
        moved = self.squares + (told.square() - self.squares) / self.counts.clamp(min=1)
        self.squares = torch.where(of, moved, self.squares)
        self.steps += 1

    def roots(self) -> Tensor | None:
        """Return the root mean square of every channel, [N], infinite where nothing is known; None where nothing is."""
        if self.steps == 0 or not bool((self.counts > 0).any()):
            return None
        return torch.where(self.counts > 0, self.squares.sqrt(), torch.inf)

    def regrouped(self, sizes: Mapping[str, int]) -> RunningMean:
        """Return it for other groups: what is known of a group of the same name and size stays known."""
        if list(sizes.items()) == list(self.sizes.items()):
            return self
        other = RunningMean(sizes, self.horizon)
        other.steps = self.steps
        other.squares, other.counts = (self._moved(values, sizes) for values in (self.squares, self.counts))
        return other

    def _moved(self, values: Tensor, sizes: Mapping[str, int]) -> Tensor:
        known = dict(zip(self.sizes, torch.split(values, list(self.sizes.values())), strict=True))
        same = {name for name, size in sizes.items() if self.sizes.get(name) == size}
        return torch.cat([known[name] if name in same else values.new_zeros(sizes[name]) for name in sizes])

    def to_dict(self) -> dict[str, Any]:
        """Plain data and tensors, fit for ``torch.load(weights_only=True)``."""
        tensors = {"squares": self.squares.clone(), "counts": self.counts.clone()}
        return {"sizes": dict(self.sizes), "horizon": self.horizon, "steps": self.steps, **tensors}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> RunningMean:
        """Read what :meth:`to_dict` wrote."""
        mean = cls(state["sizes"], state["horizon"])
        mean.steps, mean.squares, mean.counts = state["steps"], state["squares"].clone(), state["counts"].clone()
        return mean


class Importance:
    """Reads the sum of weight times gradient of every channel and adds its square to a running mean.

    What is in ``.grad`` may be more than the gradient of the loss. The sum is linear in it: what the rest alone gives
    is set aside while it is there alone, and taken off.

    Args:
        groups: G groups with N channels in all.
        tensors: parameters by the names that the slices use.
        mean: goes on with this one.

    >>> from physprune_pl.structure import Slice
    >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    >>> group = ChannelGroup("fc", 2, (Slice("weight", dim=0, index=(0, 1), channel=(0, 1), role="filter"),))
    >>> importance = Importance([group], {"weight": weight}, RunningMean({"fc": 2}, horizon=10))
    >>> weight.sum().backward()
    >>> importance.note()
    >>> importance.mean.roots()
    tensor([7., 2.])
    """

    def __init__(self, groups: Sequence[ChannelGroup], tensors: Mapping[str, Tensor], mean: RunningMean) -> None:
        segments = segments_of(groups)
        self._size = segments[-1].stop if segments else 0
        self._owned = owned_tensors(groups, segments, tensors, lambda part: part.role != "buffer")
        self._arranged = Arranged(self._owned, self._size, widen, trainable=True)
        self._reached: dict[tuple[bool, ...], Tensor] = {}
        self._aside: Tensor | None = None
        self.mean = mean

    @torch.no_grad()
    def set_aside(self, scale: Tensor | float = 1.0, only: Collection[int] | None = None) -> None:
        """Remember what is in ``.grad`` now as no part of the loss's gradient.

        Args:
            scale: what gradients are multiplied by at the moment.
            only: ids of the parameters that the coming :meth:`note` is about; None means all.
        """
        self._aside = self._arranged.products(only) / scale if any(self._there(only)) else None

    @torch.no_grad()
    def note(self, scale: Tensor | float = 1.0, only: Collection[int] | None = None) -> None:
        """Take the gradients of a step into the mean; where there are none there is no step.

        Args:
            scale: what they are multiplied by at the moment.
            only: ids of the parameters that step; None means all.
        """
        aside, self._aside = self._aside, None
        there = self._there(only)
        if not any(there):
            return
        told = self._arranged.products(only) / scale
        self.mean.add(told if aside is None else told - aside, self._owners(there, told.device))

    def _there(self, only: Collection[int] | None) -> tuple[bool, ...]:
        """Return for every tensor whether it has a gradient that counts."""
        return tuple(
            one.tensor.grad is not None and one.tensor.requires_grad and (only is None or id(one.tensor) in only)
            for one in self._owned
        )

    def _owners(self, there: tuple[bool, ...], device: torch.device) -> Tensor:
        """Return which channels own a part of some tensors, bool [N]."""
        known = self._reached.get(there)
        if known is None or known.device != device:
            found = torch.zeros(self._size + 1, dtype=torch.bool)
            for one, counts in zip(self._owned, there, strict=True):
                for owners in one.owners.values() if counts else ():
                    found[owners] = True
            # Seldom more than two: with all gradients, and with those of one of several optimizers.
            self._reached[there] = found[:-1].to(device)
        return self._reached[there]
