"""From a target to the channels that go: the weakest first, over all groups, until the cost is met."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physprune_pl.networks.advice import explained
from physprune_pl.structure import ChannelGroup, Trace
from physprune_pl.targets.costs import CostKind, CostModel, Floats, Times
from physprune_pl.targets.ladders import Ints, Ladders, LevelSearch
from physprune_pl.targets.same_width import in_common, ladders_of
from physprune_pl.targets.target import TOLERANCE, Target, TargetError
from physprune_pl.targets.widths import Widths


@dataclass
class Chooser:
    """Chooses the channels that a target removes.

    Inexact groups are left alone if the target can be met without them. A threshold is a rule for each group by itself
    and treats them all alike.

    Attributes:
        trace: the traced model.
        target: what must be kept; costs are met within 2 % of the asked share.
        widths: how many channels a group may keep.
        times: how long the traced model takes at other widths, for a latency target.
        gone: channels of each group that go in any case, since they have gone already, bool [K]; None: none.
        tolerance: largest distance from a cost that is asked for, as a share of it; infinite: the least important
            channels, as many as it takes to come under the cost, or all that may go.
        cost_model: cost of the traced model as a function of the removed channels.
    """

    trace: Trace
    target: Target
    widths: Widths = field(default_factory=Widths)
    times: Times | None = field(default=None, kw_only=True)
    gone: Sequence[Tensor] | None = field(default=None, kw_only=True)
    tolerance: float = field(default=TOLERANCE, kw_only=True)
    cost_model: CostModel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.target.kind == "latency" and self.times is None:
            raise ValueError("target latency: expected times of the traced model, got None")
        self.cost_model = CostModel(self.trace, self.times)
        needed = [max(group.least, len(group.parts)) for group in self.trace.groups]
        self._ladder = ladders_of(self.trace)
        removable = self.widths.removable(self.trace.groups, needed, self.trace.left_whole)
        removable = in_common(removable, [group.size for group in self.trace.groups], self._ladder)
        self._gone = [np.zeros(group.size, dtype=bool) for group in self.trace.groups]
        if self.gone is not None:
            self._gone = [mask.cpu().numpy().astype(bool) for mask in self.gone]
        self._removable = [_from(numbers, int(gone.sum())) for numbers, gone in zip(removable, self._gone, strict=True)]
        if self.target.kind != "threshold" and getattr(self.cost_model.dense, self.target.kind) == 0:
            raise ValueError(f"target {self.target.kind}: the traced model has none")

    def choose(self, strengths: Sequence[Tensor], scores: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Choose what goes: the lowest score first over all groups, until the target is met.

        Args:
            strengths: strength of every channel, one tensor [K] per group.
            scores: what the channels are ranked by instead of strength / mean strength of the group, same shapes; a
                threshold always compares strengths.

        Returns:
            One boolean tensor [K] per group on the device of the strengths, True where the channel goes.

        Raises:
            TargetError: if no choice comes within 2 % of the target.
            ValueError: if shapes do not fit the groups or a value is not finite.
        """
        if self.target.kind == "threshold":
            strong = _to_numpy("strengths", strengths, self.trace.groups)
            lifted = self._lift(strong)
            ladders = Ladders(self.cost_model, self._removable, lifted, self._ladder)
            levels = self._under_threshold(ladders, strong, lifted)
        else:
            ranked = self._ranked(strengths, scores)
            ladders = Ladders(self.cost_model, self._removable, self._lift(ranked), self._ladder)
            levels = self._meeting_cost(ladders, self.target.kind)
        return _to_torch(ladders.masks(levels), strengths)

    def _ranked(self, strengths: Sequence[Tensor], scores: Sequence[Tensor] | None) -> list[Floats]:
        """Return what the channels are ranked by, of which the lowest goes first."""
        strong = _to_numpy("strengths", strengths, self.trace.groups)
        return _relative(strong) if scores is None else _to_numpy("scores", scores, self.trace.groups)

    def _lift(self, scores: Sequence[Floats]) -> list[Floats]:
        """Put the best channel of every part last in its group, so that no slice empties, and what has gone first."""
        lifted = [score.copy() for score in scores]
        for score, group, gone in zip(lifted, self.trace.groups, self._gone, strict=True):
            score[gone] = score.min() - 1.0
            best = [part[np.argmax(score[list(part)])] for part in group.parts if len(part) < group.size]
            if best:
                score[best] = score.max() + 1.0
        return lifted

    def _under_threshold(self, ladders: Ladders, strengths: Sequence[Floats], lifted: Sequence[Floats]) -> Ints:
        """Every level whose channels are all weaker than the share of their group's strongest."""
        levels = ladders.top.copy()
        for number, (strength, order) in enumerate(zip(strengths, ladders.order, strict=True)):
            weak = np.searchsorted(lifted[number][order], self.target.share * strength.max())
            # A group that must be cut is, even if none of its channels is weak.
            level = max(0, np.searchsorted(self._removable[number], weak, side="right") - 1)
            levels[self._ladder[number]] = min(levels[self._ladder[number]], level)
        return levels

    def _meeting_cost(self, ladders: Ladders, kind: CostKind) -> Ints:
        """Levels that meet the target, without inexact groups if that is possible."""
        dense = getattr(self.cost_model.dense, kind)
        aim = self.target.share * dense
        closest = float(ladders.cost(kind, np.zeros_like(ladders.top)))
        for turn in self._turns():
            levels = self._weakest_first(ladders, kind, aim, turn)
            cost = float(ladders.cost(kind, levels))
            if abs(cost - aim) <= self.tolerance * aim:
                return levels
            closest = min(closest, cost, key=lambda figure: abs(figure - aim))
        raise self._unreachable(closest / dense)

    def _turns(self) -> list[list[int]]:
        """The sets of ladders to try to meet the target with, one after the other."""
        every = sorted(set(self._ladder.tolist()))
        inexact = {ladder for group, ladder in zip(self.trace.groups, self._ladder, strict=True) if not group.exact}
        exact = [ladder for ladder in every if ladder not in inexact]
        return [exact, every] if 0 < len(exact) < len(every) else [every]

    def _weakest_first(self, ladders: Ladders, kind: CostKind, aim: float, turn: Sequence[int]) -> Ints:
        """Levels of the shortest prefix of the queue that meets the aim, or the closest levels that are found."""
        queue = ladders.queue(turn)

        def levels(length: int) -> Ints:
            return np.bincount(queue[:length], minlength=len(ladders.top))

        lengths = range(len(queue) + 1)
        enough = bisect_left(lengths, -aim, key=lambda length: -float(ladders.cost(kind, levels(length))))
        guesses = [levels(length) for length in (min(enough, len(queue)), max(enough - 1, 0))]
        gaps = [abs(float(ladders.cost(kind, guess)) - aim) for guess in guesses]
        for guess, gap in zip(guesses, gaps, strict=True):
            if gap <= self.tolerance * aim:
                return guess
        top = np.bincount(turn, weights=ladders.top[turn], minlength=len(ladders.top)).astype(np.intp)
        band = ((1 - self.tolerance) * aim, (1 + self.tolerance) * aim)
        guess = guesses[int(np.argmin(gaps))]
        return LevelSearch(lambda states: ladders.cost(kind, states), guess, top, band, aim).run()

    def _unreachable(self, closest: float) -> TargetError:
        limits = [f"{name}={value!r}" for name, value in vars(self.widths).items() if value]
        return TargetError(
            f"target {self.target.kind}={self.target.share:g} cannot be met within {self.tolerance:.0%}: the closest "
            f"reachable share is {closest:.4g} ({', '.join([f'groups: {len(self.trace.groups)}', *limits])})"
            f"{self._why_nothing()}",
            closest,
        )

    def _why_nothing(self) -> str:
        """Say of every module why it is not pruned, and what to do, where none is."""
        left = [] if self.trace.groups else self.trace.left_whole
        return "".join(f"\n- not pruned: {line}" for line in explained((one.name, one.reason) for one in left))


def _from(numbers: Ints, gone: int) -> Ints:
    """The numbers of channels that may go, now that some have gone: all of those, and more."""
    left = numbers[numbers >= gone]
    return left if len(left) else np.array([gone], dtype=np.intp)


def _relative(strengths: Sequence[Floats]) -> list[Floats]:
    """Strength / mean strength of the group; a group without any strength stays 0."""
    means = [strength.mean() for strength in strengths]
    return [strength / mean if mean > 0 else strength for strength, mean in zip(strengths, means, strict=True)]


def _to_numpy(name: str, values: Sequence[Tensor], groups: Sequence[ChannelGroup]) -> list[Floats]:
    """Bring one tensor [K] per group to the CPU in a single transfer."""
    expected = [(group.size,) for group in groups]
    if [tuple(value.shape) for value in values] != expected:
        raise ValueError(f"{name}: expected shapes {expected}, got {[tuple(value.shape) for value in values]}")
    if not groups:
        return []
    flat = torch.cat([value.detach() for value in values]).cpu().double().numpy()
    parts = np.split(flat, np.cumsum([group.size for group in groups])[:-1])
    for part, group in zip(parts, groups, strict=True):
        if not np.isfinite(part).all():
            raise ValueError(f"{name} of group {group.name!r}: expected finite numbers, got {part}")
    return parts


def _to_torch(masks: Sequence[NDArray[np.bool_]], like: Sequence[Tensor]) -> list[Tensor]:
    """Bring masks to the device of the given tensors in a single transfer."""
    if not masks:
        return []
    flat = torch.from_numpy(np.concatenate(masks)).to(like[0].device)
    return list(torch.split(flat, [len(mask) for mask in masks]))
