"""From a model and a target to a plan, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from physprune_pl.latency import Correction, Stopwatch
from physprune_pl.networks.ignored import Ignore
from physprune_pl.networks.isolation import twin
from physprune_pl.networks.names import uncompiled
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2, Strength, resolve_strength
from physprune_pl.structure import Trace
from physprune_pl.surgery.apply import cut
from physprune_pl.surgery.plan import PruningPlan, make_plan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.same_width import tied
from physprune_pl.targets.target import Target, TargetError, parse_target
from physprune_pl.targets.widths import RoundTo, SameWidth, Shares, Widths
from physprune_pl.tools.progress import steps
from physprune_pl.tracing.tracer import trace

CHECKS = 5
"""Cut networks that are timed, at most, until a model of latency is believed."""
CLOSE = 0.02
"""Difference of shares of the dense network's latency that is close enough: measuring again differs by as much."""


def plan_pruning(
    model: nn.Module,
    example_input: Any,
    target: Mapping[str, float] | Target,
    ignore: Ignore = (),
    round_to: RoundTo = None,
    strength: str | Strength | None = None,
    min_share: Shares | None = None,
    max_share: Shares | None = None,
    stopwatch: Stopwatch | None = None,
    same_width: SameWidth = (),
) -> PruningPlan:
    """Decide which channels of a model are removed so that the target is met: the least important of all groups first.

    Args:
        model: the model as it is now; it is not changed. A compiled model is planned as the original.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.
        target: ``{"macs": x}``, ``{"params": x}`` or ``{"latency": x}``, the share that is kept, or
            ``{"threshold": x}``: in every group what is weaker than x times its strongest channel goes.
        ignore: name, regular expression or object of modules that are not pruned, or several.
        round_to: channels kept in a group that is cut are a multiple of this. ``"auto"`` is the multiple that the
            model's device likes, halved for groups that are too small for it or may keep no multiple of it.
        strength: importance of a channel, divided by the mean of its group for the ranking; None is ``L2()``.
        min_share: name or regular expression of modules -> share of the channels that their groups keep at least.
        max_share: likewise, at most; they are cut to it in any case.
        stopwatch: what times the model for a latency target and ``round_to="auto"``; None is ``Stopwatch()``: one
            sample, times kept in the user's cache folder.
        same_width: names or regular expressions of modules; those whose names differ in numbers only keep one width in
            all layers. ``"auto"``: all modules; of a transformers model by its config, so that the cut model is saved
            with a config that ``from_pretrained`` builds it from; what no number there can say is not pruned.

    Returns:
        A plan for ``apply_plan``. With a latency target its ``latency`` has the share asked for, the one predicted and
        the one measured on the pruned model.

    Raises:
        TargetError: if no choice of channels comes within 2 % of the target.
        ValueError: if an argument is outside its range.
        TypeError: if an argument is of another kind.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> plan = plan_pruning(model, torch.zeros(1, 4), target={"macs": 0.5})
    >>> plan.macs, [(cut.name, cut.before, cut.after) for cut in plan.groups]
    ((48, 24), [('0', 8, 4)])
    """
    wanted = parse_target(target)
    widths = Widths(round_to=round_to, min_share=min_share or {}, max_share=max_share or {}, same_width=same_width)
    norm = None if strength is None else resolve_strength(strength)
    model = uncompiled(model)  # the trace and the plan use its names
    traced = tied(model, trace(model, example_input, ignore), widths)
    return plan_measured(model, example_input, traced, wanted, widths, norm, stopwatch or Stopwatch())


def plan_measured(
    model: nn.Module,
    example_input: Any,
    traced: Trace,
    target: Target,
    widths: Widths,
    strength: Strength | None,
    stopwatch: Stopwatch,
) -> PruningPlan:
    """Decide the same with the device asked for what the target and the widths leave to it.

    Raises:
        TargetError: if no choice of channels comes within 2 % of the target.
        ValueError: if no choice obeys the widths.
    """
    norm = strength or L2()
    chooser = measured_chooser(model, example_input, traced, target, widths, norm, stopwatch)
    plan = plan_chosen(model, chooser, norm)
    return (
        with_measured_latency(plan, model, cut(twin(model), plan), example_input, stopwatch) if plan.latency else plan
    )


def measured_chooser(
    model: nn.Module,
    example_input: Any,
    traced: Trace,
    target: Target,
    widths: Widths,
    strength: Strength,
    stopwatch: Stopwatch,
) -> Chooser:
    """Return a chooser that knows the device: the multiple it likes, and times of the network where they are needed.

    Of a latency the channels that its model would remove now are removed from a copy, which is timed, and the model
    is corrected until they agree, or a few times; the closest counts. From then on choosing is arithmetic.

    Raises:
        TargetError: if no choice of channels comes within 2 % of a latency target.
        ValueError: if no choice obeys the widths.
    """
    widths = widths.resolved(lambda: stopwatch.multiple(model))
    if target.kind != "latency":
        return Chooser(traced, target, widths)
    tried: list[tuple[float, Chooser]] = []
    correction, times = Correction(target.share), stopwatch.latency(model, example_input, traced)
    for _ in steps("checking the latency", range(CHECKS)):
        chooser = Chooser(traced, target, widths, times=times)
        try:
            plan = plan_chosen(model, chooser, strength)
        except TargetError:
            if not tried:
                raise
            times = correction.out_of_reach(times)
            continue
        found = with_measured_latency(plan, model, cut(twin(model), plan), example_input, stopwatch).latency
        tried.append((abs(found["measured"] - target.share), chooser))
        if tried[-1][0] <= CLOSE:
            break
        times = correction.corrected(times, found["predicted"], found["measured"])
    return min(tried, key=lambda one: one[0])[1]


def plan_removal(chooser: Chooser, removed: Sequence[Tensor]) -> PruningPlan:
    """Write the plan that removes the given channels: one boolean tensor [K] per group, True where one goes."""
    dense, pruned = chooser.cost_model.dense, chooser.cost_model(removed)
    plan = make_plan(chooser.trace, removed, macs=(dense.macs, pruned.macs), params=(dense.params, pruned.params))
    if chooser.target.kind != "latency":
        return plan
    return replace(plan, latency={"asked": chooser.target.share, "predicted": pruned.latency / dense.latency})


def with_measured_latency(
    plan: PruningPlan, dense: nn.Module, pruned: nn.Module, example_input: Any, stopwatch: Stopwatch
) -> PruningPlan:
    """Add to a plan for a latency target what two networks, before and after the cut, take side by side."""
    found = stopwatch.compare(dense, pruned, example_input)
    times = {"dense_ms": found["dense"], "pruned_ms": found["pruned"], "batch_size": stopwatch.batch_size}
    return replace(plan, latency={**plan.latency, "measured": found["pruned"] / found["dense"], **times})


def plan_chosen(model: nn.Module, chooser: Chooser, strength: Strength | None = None) -> PruningPlan:
    """Write the plan of what a chooser takes from the model that was traced for it, by its weights as they are now.

    Raises:
        TargetError: if no choice of channels comes within 2 % of the target.
    """
    penalty = Penalty(chooser.trace.groups, dict(model.named_parameters()), strength or L2())
    strengths = penalty.strengths()
    return plan_removal(chooser, chooser.choose([strengths[segment] for segment in penalty.segments]))
