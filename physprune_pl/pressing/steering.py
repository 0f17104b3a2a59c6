"""Steering: one coefficient per group, moved so that the channels to be cut arrive at zero strength on time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from physprune_pl.pressing.arrival import ARRIVED, Arrival
from physprune_pl.pressing.chosen_channels import ChosenChannels
from physprune_pl.pressing.importance import RunningMean
from physprune_pl.pressing.segments import Segments
from physprune_pl.selections import Selection, resolve_selection
from physprune_pl.targets.chooser import Chooser

ARRIVAL = 0.75
"""Share of the phase after which the chosen channels should have no strength left."""
FREEZE = 0.5
"""Share of the phase after which the set of chosen channels does not change any more."""
WAIT = 0.05
"""Share of the phase after which the first choice does not wait any longer for a full horizon of gradients."""
UPDATES = 200
"""Decisions of the controller in one phase, however many steps it has."""
AGILITY = 30.0
"""Largest change of the logarithm of a speed over a whole phase."""
BAND = 0.1
"""Distance from the line, in starting strengths, from which on a speed changes as fast as it may."""
SLOWEST, FASTEST = 0.5, 100.0
"""Bounds of the speed, in starting strengths of the chosen channels per phase."""
REST = 1e-8
"""At this share of their starting strength chosen channels are pressed no further: rounding swallows what they say."""
FADING = 0.1
"""Share of the largest learning rate so far below which a pressure does not grow to make up for a falling rate."""
HELD = 0.8
"""Share of the phase from which on optimizers may not give back what was taken, if any channel is late then."""
QUIET = 0.05
"""Below this share of the largest learning rate so far no speed is raised: it would come too late to be undone."""


class Steering:
    r"""Chooses the channels that meet the target and presses them to zero by a straight line in time.

    Every group g has a speed v_g; its coefficient is

    .. math:: coefficient_g = v_g \cdot \frac{start_g}{steps \cdot \eta}

    with the mean strength ``start_g`` of its chosen channels when steering began, the number of optimizer steps of the
    phase and the effective learning rate :math:`\eta` = learning rate / (1 - momentum), at least a tenth of the largest
    so far. Speed 1 would take exactly one phase with plain SGD and no resistance of the task. A line falls from
    ``start_g`` to zero at 75 % of the phase; the further the mean strength of the chosen channels is above it the
    faster the speed rises, below it falls, by bounded factors per *share of the phase*: 300 steps are steered like
    30,000.

    Only chosen channels feel the force. Half of a group's pressure is spread evenly over them, half follows the
    law's positive coefficients, so that a channel that the law leaves free (the pivot, an attracted one) arrives as
    well. Once the line has ended, those that are late share what pressed all of them, so that a last one that the task
    holds on to is not left behind. No channel is pressed by more than takes half of its strength in one step, so that
    it comes to rest at zero instead of swinging around it. Zero is a hundred-millionth of ``start_g``: pressed further,
    products of what is left would leave the range of normal numbers, and some processors compute several times more
    slowly there.

    The pressure reaches the weights by way of the gradient under plain SGD with an L2 strength. Optimizers that rescale
    gradients would make the same small step of any pressure; there, and for other strengths, the weights are scaled by
    :meth:`kept` right after the optimizer's step, as decoupled weight decay does.

    At zero the task's gradient of a channel vanishes, and with it the steps of most optimizers; those that follow its
    sign alone (Lion, Rprop) go on to step away from zero. So where channels are still late when four fifths of the
    phase are over, every step from then on leaves the chosen ones at most :meth:`limit`, whatever the optimizer does.

    Args:
        chooser: finds the set that meets the target. What has gone already is part of it, and is pressed no more.
        segments: place of each group in the [N] vectors.
        select: which channels are cut, a name or an object of :mod:`physprune_pl.selections`.
        importance: what is known of the first-order importance of channels, for a selection that reads gradients.
            Nothing is chosen before its horizon or 5 % of the phase is over, and it knows anything.

    Source: ours; the papers keep one coefficient for all layers, chosen by hand.
    """

    def __init__(
        self,
        chooser: Chooser,
        segments: Sequence[slice],
        select: str | Selection = "strength",
        importance: RunningMean | None = None,
    ) -> None:
        self.chooser, self.segments, self.select = chooser, list(segments), resolve_selection(select)
        self._importance = importance or RunningMean({}, horizon=1)
        self._per_group = Segments(self.segments)
        self._decision: ChosenChannels | None = None
        size = self.segments[-1].stop
        self.gone = torch.zeros(size, dtype=torch.bool) if chooser.gone is None else torch.cat(list(chooser.gone))
        self.chosen = torch.zeros(size, dtype=torch.bool)
        self.late = self.chosen
        self.speed = torch.full((len(self.segments),), 1.0 / ARRIVAL, dtype=torch.float64)
        self.start: Tensor | None = None
        self.remaining = torch.ones(len(self.segments), dtype=torch.float64)
        self.began = 0.0
        self.decided = -math.inf
        self.last = 0.0
        self.step_share = 0.0
        self.peak_rate = 0.0
        self.rate = 0.0
        self.holds = False

    def update(self, progress: float, learning_rate: float, strengths: Tensor, law: Tensor) -> None:
        """Follow one optimizer step; now and then choose the set anew and move the speeds.

        Args:
            progress: share of the phase that is over, in [0, 1].
            learning_rate: effective learning rate, learning rate / (1 - momentum).
            strengths: strength of every channel, shape [N].
            law: coefficient of every channel, shape [N].

        Raises:
            TargetError: no set meets the target.
        """
        if progress > self.last:
            self.step_share = progress - self.last
        self.last, self.rate = progress, learning_rate
        self.peak_rate = max(self.peak_rate, learning_rate)
        if progress - self.decided >= 1.0 / UPDATES and (self.start is not None or self._can_choose(progress)):
            self._decide(progress, strengths.detach(), law.detach())
            self.decided, self._decision = progress, None

    def displacement(self, strengths: Tensor, law: Tensor) -> Tensor:
        """Return how much strength every channel is to lose in one optimizer step, shape [N].

        That is the group's speed, shaped by the law within the chosen set, at most half of the strength; 0 elsewhere
        and for channels at rest.
        """
        if self.start is None:
            return torch.zeros_like(strengths)
        if self._decision is None or not self._decision.fits(strengths):
            self._decision = ChosenChannels.of(
                self.chosen, self.late, self.speed * self.start, REST * self.start, self._per_group, strengths
            )
        decision = self._decision
        asked = self.step_share * decision.distance * decision.shape(law, self._per_group)
        return torch.where(strengths > decision.rest, torch.minimum(asked, strengths / 2.0), 0.0)

    def pressure(self, strengths: Tensor, law: Tensor) -> Tensor:
        """Return the pressure that makes plain SGD move by :meth:`displacement`, shape [N].

        Below a tenth of the largest learning rate so far it does not grow any more, so that its effect fades with the
        learning rate as that of the task does.
        """
        if self.peak_rate == 0.0:
            return torch.zeros_like(strengths)
        return self.displacement(strengths, law) / self._rate()

    def kept(self, strengths: Tensor, law: Tensor) -> Tensor:
        """Return the share of every channel's strength that :meth:`displacement` leaves, in [0.5, 1], shape [N]."""
        return 1.0 - self.displacement(strengths, law) / strengths.clamp(min=torch.finfo(strengths.dtype).tiny)

    def limit(self, strengths: Tensor, law: Tensor, factor: float = 1.0) -> Tensor | None:
        """Return the most strength that a step may leave each channel, shape [N]; None while optimizers have their way.

        For chosen channels it is what ``factor`` times :meth:`displacement` leaves, for others infinite.
        """
        if not self.holds:
            return None
        left = strengths - factor * self.displacement(strengths, law)
        assert self._decision is not None
        return torch.where(self._decision.chosen, left, torch.inf)

    def coefficients(self) -> Tensor:
        """Return the coefficient of every group, shape [G]; 0 before the first decision."""
        if self.start is None or self.peak_rate == 0.0:
            return torch.zeros(len(self.segments), dtype=torch.float64)
        return self.speed * self.start * self.step_share / self._rate()

    def _rate(self) -> float:
        return max(self.rate, FADING * self.peak_rate)

    @property
    def planned(self) -> float:
        """Share of the strength at the start that the chosen channels should have by now, the same for all groups."""
        return self._line(self.last)

    def removed(self) -> list[Tensor]:
        """Return, group by group, which channels are to be cut, bool [K], and which have gone already."""
        removed = self.chosen | self.gone
        return [removed[segment] for segment in self.segments]

    def resting(self, strengths: Tensor) -> list[Tensor]:
        """Return those of :meth:`removed` whose cut changes next to nothing, given the strengths [N] of now.

        They have at most 1 % of the mean strength that their group's chosen channels had at the start.
        """
        removed = self.gone
        if self.start is not None:
            removed = removed | (self.chosen & self._small(strengths.detach().double().cpu()))
        return [removed[segment] for segment in self.segments]

    def arrivals(self, strengths: Tensor) -> list[Arrival]:
        """Return how far every group with chosen channels has come, given the strengths [N] of now."""
        means = self._means(strengths.detach().double().cpu())
        starts = torch.zeros_like(means) if self.start is None else self.start
        found = []
        for group, segment, mean, start in zip(
            self.chooser.trace.groups, self.segments, means.tolist(), starts.tolist(), strict=True
        ):
            chosen = int(self.chosen[segment].sum())
            if chosen:
                found.append(Arrival(group.name, chosen, mean / start if start > 0 else 0.0))
        return found

    def arrived_share(self, strengths: Tensor) -> float:
        """Return the share of the chosen channels, all groups together, that are at zero; 0 while none is chosen.

        At zero is a channel with at most 1 % of the mean strength that its group's chosen channels had at the start.

        Args:
            strengths: strength of every channel now, shape [N].
        """
        if self.start is None or not bool(self.chosen.any()):
            return 0.0
        small = self._small(strengths.detach().double().cpu())
        return float(small[self.chosen].double().mean())

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state as numbers and tensors."""
        return {
            "chosen": self.chosen.clone(),
            "late": self.late.clone(),
            "speed": self.speed.clone(),
            "start": None if self.start is None else self.start.clone(),
            "remaining": self.remaining.clone(),
            "holds": self.holds,
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.chosen, self.late, self.speed = (state[name].clone() for name in ("chosen", "late", "speed"))
        self.start = None if state["start"] is None else state["start"].clone()
        self.remaining, self._decision = state["remaining"].clone(), None
        # Files of version 0.1.0 have none.
        self.holds = bool(state.get("holds", False))
        for name in _NUMBERS:
            setattr(self, name, float(state[name]))

    def _decide(self, progress: float, strengths: Tensor, law: Tensor) -> None:
        strengths, law = strengths.double().cpu(), law.double().cpu()
        if self.start is None or progress < FREEZE:
            self.chosen = torch.cat(self._choose(strengths, law)) & ~self.gone
        means = self._means(strengths)
        if self.start is None:
            self.start, self.began, self.late = means, progress, self.chosen
            return
        # A group of which nothing was chosen at first takes its start from its first choice.
        self.start = torch.where(self.start > 0, self.start, means)
        self.remaining = torch.where(self.start > 0, means / self.start.clamp(min=1e-30), 0.0)
        self.late = self.chosen & ~self._small(strengths) if progress >= ARRIVAL else self.chosen
        self.holds = self.holds or (progress >= HELD and bool(self.late.any()))
        self._move(progress - self.decided, self._line(progress))

    def _line(self, progress: float) -> float:
        """Return the share of the starting strength that should be left."""
        return max(0.0, 1.0 - (progress - self.began) / max(ARRIVAL - self.began, 1e-6))

    def _move(self, elapsed: float, line: float) -> None:
        # Once the line has ended, a group that has arrived is on it.
        lateness = (self.remaining - max(line, ARRIVED)) / BAND
        change = AGILITY * min(elapsed, 0.05) * lateness.clamp(-1.0, 1.0)
        if self.rate < QUIET * self.peak_rate:
            change = change.clamp(max=0.0)
        self.speed = (self.speed * change.exp()).clamp(SLOWEST, FASTEST)

    def _can_choose(self, progress: float) -> bool:
        mean = self._importance
        waits = self.select.reads == "gradient" and mean.steps < mean.horizon and progress < WAIT
        return not waits and (self.select.reads != "gradient" or mean.roots() is not None)

    def _choose(self, strengths: Tensor, law: Tensor) -> list[Tensor]:
        parts, told = self._split(strengths), self._importance.roots()
        known = None if told is None else self._split(told)
        return self.chooser.choose(parts, self.select.scores(parts, self._split(law), known))

    def _split(self, values: Tensor) -> list[Tensor]:
        values = values.double().cpu()
        return [values[segment] for segment in self.segments]

    def _small(self, strengths: Tensor) -> Tensor:
        """Return which channels have at most 1 % of the mean strength that their group began with, bool [N]."""
        assert self.start is not None
        return strengths <= ARRIVED * self._per_group.spread(self.start)

    def _means(self, strengths: Tensor) -> Tensor:
        """Return the mean strength of the chosen channels of every group, 0 where none is chosen, shape [G]."""
        chosen = self.chosen.double()
        return self._per_group.sums(strengths * chosen) / self._per_group.sums(chosen).clamp(min=1.0)


_NUMBERS = ("began", "decided", "last", "step_share", "peak_rate", "rate")
