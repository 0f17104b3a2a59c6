"""What a cut would do to a network, told before it is paid for: its groups, its costs, and what is not pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from physprune_pl.latency import Stopwatch
from physprune_pl.networks.ignored import Ignore, Ignored
from physprune_pl.networks.names import uncompiled
from physprune_pl.planning import plan_measured
from physprune_pl.reports.tables import latency_words, table
from physprune_pl.strengths import Strength
from physprune_pl.structure import Trace
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.costs import CostModel
from physprune_pl.targets.same_width import tied
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths
from physprune_pl.tools.plain_tables import saving, short
from physprune_pl.tracing.tracer import trace


@dataclass(frozen=True)
class Preview:
    """What is known of a cut before it is made.

    Attributes:
        name: of the network, for the text.
        trace: of the network.
        plan: what the target takes from it with the weights of now; None without a target, and out of its reach.
        out_of_reach: the error that says so; None otherwise.
    """

    name: str
    trace: Trace
    plan: PruningPlan | None = None
    out_of_reach: TargetError | None = None

    def __str__(self) -> str:
        """Return everything as text: a summary, the groups, the costs, what is not pruned and why."""
        parts = [self._summary(), self._groups(), self._reach(), *self._costs(), self._left_whole(), *self.trace.notes]
        return "\n\n".join(part for part in parts if part)

    def _summary(self) -> str:
        dense, traced = CostModel(self.trace).dense, self.trace
        return (
            f"{self.name}: {short(dense.params)} parameters, {short(dense.macs)} MACs of one sample; "
            f"groups: {len(traced.groups)}, not pruned: {len(traced.left_whole)}; traced in {traced.seconds:.1f} s."
        )

    def _groups(self) -> str:
        head, saved = ("group", "channels", "exact", "saves at most"), _saved(self.trace)
        rows = [
            (group.name, str(group.size), "yes" if group.exact else "no", share)
            for group, share in zip(self.trace.groups, saved, strict=True)
        ]
        if self.plan is None:
            return table("Groups", head, rows)
        kept = [str(cut.after) for cut in self.plan.groups]
        return table("Plan", (*head, "kept"), [(*row, left) for row, left in zip(rows, kept, strict=True)])

    def _reach(self) -> str:
        if self.out_of_reach is not None:
            return f"Out of reach: {self.out_of_reach}"
        if self.plan is None:
            return ""
        cut = sum(one.after < one.before for one in self.plan.groups)
        return f"In reach, with the weights of now: {cut} of {len(self.plan.groups)} groups cut."

    def _costs(self) -> list[str]:
        if self.plan is None:
            return []
        pairs = (("MACs", self.plan.macs), ("parameters", self.plan.params))
        rows = [(name, short(dense), short(pruned), saving(dense, pruned)) for name, (dense, pruned) in pairs if dense]
        costs = table("Costs", ("", "dense", "pruned", "saved"), rows)
        return [costs, latency_words(self.plan.latency) if self.plan.latency else ""]

    def _left_whole(self) -> str:
        rows = [(f"{left.name}: {left.reason}",) for left in self.trace.left_whole]
        return table("Not pruned", ("module: why",), rows)


def preview(
    model: nn.Module,
    example_input: Any,
    target: Target | None = None,
    widths: Widths | None = None,
    *,
    name: str = "",
    ignore: Ignore | Ignored = (),
    strength: Strength | None = None,
    stopwatch: Stopwatch | None = None,
) -> Preview:
    """Trace a network, and plan for a target with its weights as they are now.

    Args:
        model: stays as it is.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.
        target: what must be kept; None plans nothing. One out of reach is told in the preview.
        widths: how many channels a group may keep.
        name: of the network, for the text; empty: its class.
        ignore: name, regular expression or object of modules not pruned, or several.
        strength: what channels are ranked by; None is ``L2()``.
        stopwatch: what times the network where target or widths need it; None is ``Stopwatch()``.

    Raises:
        ValueError: the network cannot be traced, or no choice of channels obeys the widths.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> found = preview(model, torch.zeros(1, 4), Target("macs", 0.5))
    >>> found.plan.macs, str(found).splitlines()[-1].split(": ")
    ((48, 24), ['2', 'the model returns its channels'])
    """
    model = uncompiled(model)  # trace and plan use its names
    traced = tied(model, trace(model, example_input, ignore), widths or Widths())
    found = Preview(name or type(model).__name__, traced)
    if target is None:
        return found
    limits = (widths or Widths(), strength, stopwatch or Stopwatch())
    try:
        plan = plan_measured(model, example_input, found.trace, target, *limits)
    except TargetError as error:
        return Preview(found.name, found.trace, out_of_reach=error)
    return Preview(found.name, found.trace, plan)


def _saved(traced: Trace) -> list[str]:
    """Return for each group the share of the MACs that go when it keeps as few channels as it can."""
    costs, found = CostModel(traced), []
    for chosen in traced.groups:
        removed = [torch.full((group.size,), group is chosen) for group in traced.groups]
        left = costs([group.leaving_one(gone) for group, gone in zip(traced.groups, removed, strict=True)])
        found.append(f"{1 - left.macs / max(costs.dense.macs, 1):.1%}")
    return found
