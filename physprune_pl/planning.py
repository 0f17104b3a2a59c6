"""From a model and a target to a plan, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from physprune_pl.groups import trace
from physprune_pl.penalty import Penalty
from physprune_pl.plan import PruningPlan, make_plan
from physprune_pl.strengths import L2, Strength, resolve_strength
from physprune_pl.targets import Chooser, Target, parse_target
from physprune_pl.tracing_types import Trace
from physprune_pl.widths import Shares, Widths


def plan_pruning(
    model: nn.Module,
    example_input: Any,
    target: Mapping[str, float] | Target,
    ignore: Sequence[str] = (),
    round_to: int | None = None,
    strength: str | Strength | None = None,
    min_share: Shares | None = None,
    max_share: Shares | None = None,
) -> PruningPlan:
    """Decide which channels of a model go so that the target is met: the weakest of all groups first.

    Args:
        model: the model as it is now; it is not changed. The plan of a compiled model is that of the original.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.
        target: ``{"macs": x}`` or ``{"params": x}``, the share that is kept, or ``{"threshold": x}``: in every group
            what is weaker than x times its strongest channel goes.
        ignore: names or regular expressions of modules that are left whole.
        round_to: channels kept in a group that is cut are a multiple of this.
        strength: what channels are ranked by after division by the mean of their group; None is ``L2()``.
        min_share: name or regular expression of modules -> share of the channels that their groups keep at least.
        max_share: likewise, at most; they are cut to it in any case.

    Returns:
        A plan for ``apply_plan``.

    Raises:
        TargetError: if no choice of channels comes within 2 % of the target.
        ValueError: if an argument is outside its range.
    """
    wanted = parse_target(target)
    widths = Widths(round_to=round_to, min_share=min_share or {}, max_share=max_share or {})
    norm = None if strength is None else resolve_strength(strength)
    model = getattr(model, "_orig_mod", model)  # a compiled model wraps the one whose names the trace and plan use
    traced = trace(model, example_input, ignore)
    return plan_traced(model, traced, wanted, widths, norm)


def plan_traced(
    model: nn.Module, traced: Trace, target: Target, widths: Widths, strength: Strength | None = None
) -> PruningPlan:
    """Decide the same for a model whose trace is there, by its weights as they are now.

    Raises:
        TargetError: if no choice of channels comes within 2 % of the target.
        ValueError: if no choice obeys the widths.
    """
    chooser = Chooser(traced, target, widths)
    penalty = Penalty(traced.groups, dict(model.named_parameters()), strength or L2())
    strengths = penalty.strengths()
    removed = chooser.choose([strengths[segment] for segment in penalty.segments])
    return plan_removal(chooser, removed)


def plan_removal(chooser: Chooser, removed: Sequence[Tensor]) -> PruningPlan:
    """Write the plan that removes the given channels: one boolean tensor [K] per group, True where one goes."""
    dense, pruned = chooser.cost_model.dense, chooser.cost_model(removed)
    return make_plan(chooser.trace, removed, macs=(dense.macs, pruned.macs), params=(dense.params, pruned.params))
