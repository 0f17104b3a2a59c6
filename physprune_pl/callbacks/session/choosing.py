"""Who chooses the channels of a traced network that go, and who steers them to zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lightning.pytorch import Trainer
from torch import Tensor, nn

from physprune_pl.callbacks.session.phase import Wave
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.precision import plain_forward
from physprune_pl.networks.advice import explained
from physprune_pl.pressing.importance import Importance, RunningMean
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.selections import Selection
from physprune_pl.structure import ChannelGroup, Trace
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.costs import Times
from physprune_pl.targets.on_the_way import OnTheWay
from physprune_pl.targets.target import TOLERANCE, Target
from physprune_pl.targets.widths import Widths

Known = tuple[Widths, Times | None]
"""What a device was asked for: widths without ``"auto"``, and times of the network for a latency target."""


T = TypeVar("T")


def known(part: T | None) -> T:
    """Return a part of what a trace finds; a RuntimeError before it."""
    if part is None:
        raise RuntimeError("the network is not traced yet: call prepare() in or after on_train_start")
    return part


def asked_of_device(trainer: Trainer, measured: Callable[[], Chooser], widths: Widths) -> Known:
    """Ask the device once for what the target and the widths leave to it; one process asks for all."""
    known: Known = (widths, None)
    if trainer.is_global_zero:
        with plain_forward(trainer):
            chooser = measured()
        known = (chooser.widths, chooser.times)
    return trainer.strategy.broadcast(known)


def importance_of(
    select: Selection, record: Record, groups: Sequence[ChannelGroup], tensors: Mapping[str, Tensor]
) -> Importance | None:
    """Return what reads the gradients of the groups as they are now, going on with the mean of the record.

    None where the selection reads none.
    """
    if select.reads != "gradient":
        return None
    sizes = {group.name: group.size for group in groups}
    known = record.importance or RunningMean(sizes, select.looks_back)
    record.importance = known.regrouped(sizes)
    record.importance.horizon = select.looks_back
    return Importance(groups, tensors, record.importance)


def meets(chooser: Chooser, removed: Sequence[Tensor]) -> bool:
    """Whether a network without some channels, bool [K] per group, costs no more than the target says, if it does."""
    kind, model = chooser.target.kind, chooser.cost_model
    if kind == "threshold":
        return False
    left = getattr(model(removed), kind) / getattr(model.dense, kind)
    return bool(left <= (1.0 + TOLERANCE) * chooser.target.share)


def waves_to_come(waves: tuple[Wave, ...], record: Record, whole: Wave, chooser: Chooser) -> tuple[Wave, ...]:
    """Return the waves of a phase, with the whole of it as one more where all are over and the target is not met.

    So it is in a fit that was resumed with another target, or with other waves than those that its record counts.
    """
    if record.waves < len(waves) or not record.waves or meets(chooser, chooser.gone or ()):
        return waves
    record.waves = len(waves)
    return (*waves, whole) if waves else ()


def steering_of(
    wave: Wave | None, chooser: Chooser, penalty: Penalty, select: Selection, record: Record
) -> Steering | None:
    """Return who steers a wave, given who chooses for the target; None where nothing is pressed any more.

    The end of a wave need not be met within 2 %: the target is met in the end.
    """
    if wave is None or wave.target is None:
        return None
    if wave.target != chooser.target:
        chooser = _on_the_way(wave.target, chooser)
    return Steering(chooser, penalty.segments, select, record.importance)


def _on_the_way(target: Target, end: Chooser) -> Chooser:
    parts = (end.trace, target, end.widths)
    return OnTheWay(*parts, times=end.times, gone=end.gone, tolerance=math.inf, end=end)


def nothing_to_prune(model: nn.Module, found: Trace) -> str:
    """Say why no channel of a traced network can be removed."""
    reasons = explained((left.name, left.reason) for left in found.left_whole)
    return f"no channel of {type(model).__name__} can be removed; not pruned: {'; '.join(reasons[:5]) or 'nothing'}"
