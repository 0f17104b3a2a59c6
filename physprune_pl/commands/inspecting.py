"""``inspect``: what can be cut from a network, what cannot and why, what it costs, and the plan for a target."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from physprune_pl.commands.command import Command
from physprune_pl.commands.cut_options import add_target_options, planned_by, traced_by
from physprune_pl.commands.network_options import add_network_options, network_of
from physprune_pl.reports.tables import latency_words, short, table
from physprune_pl.structure import ChannelGroup, Trace
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.costs import Cost, CostModel

EXAMPLES = """\
examples:
  python -m physprune_pl inspect --model torchvision.models:resnet50 --input 1,3,224,224
  python -m physprune_pl inspect --model torchvision.models:resnet50 --input 1,3,224,224 \\
      --target macs=0.4 --round-to 8 --ignore layer4 --save-plan plan.json
  python -m physprune_pl inspect --model my_package.networks:build --model-args width=2 --input 1,3,32,32 \\
      --checkpoint last.ckpt

"saves at most": multiply-adds that the network would lose if the group had one channel left.
A group is exact when channels whose filters are zero leave without changing the output.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_network_options(parser)
    add_target_options(parser)
    parser.add_argument("--save-plan", metavar="FILE", help="write the plan for --target as JSON")


def run(options: argparse.Namespace) -> str:
    """Trace and plan, and return everything as text.

    Raises:
        ValueError: the network cannot be made or traced, or the target cannot be met.
    """
    if options.save_plan and not options.target:
        raise ValueError("--save-plan needs a --target")
    model = network_of(options)
    traced = traced_by(options, model)
    costs = CostModel(traced)
    parts = [_summary(options.model, traced, costs.dense)]
    if options.target:
        plan = planned_by(options, model, traced)
        parts += [_plan(traced, costs, plan), _costs(plan)]
    else:
        parts.append(_groups(traced, costs))
    parts.append(_left_whole(traced))
    if options.save_plan:
        Path(options.save_plan).write_text(plan.to_json() + "\n", encoding="utf-8")
        parts.append(f"Plan written to {options.save_plan}.")
    return "\n\n".join(part for part in [*parts, *traced.notes] if part)


def _summary(name: str, traced: Trace, dense: Cost) -> str:
    return (
        f"{name}: {short(dense.params)} parameters, {short(dense.macs)} multiply-adds of one sample; "
        f"groups: {len(traced.groups)}, left whole: {len(traced.left_whole)}; traced in {traced.seconds:.1f} s."
    )


def _groups(traced: Trace, costs: CostModel) -> str:
    rows = [
        (group.name, str(group.size), _yes(group.exact), _saved(traced, costs, place))
        for place, group in enumerate(traced.groups)
    ]
    return table("Groups", ("group", "channels", "exact", "saves at most"), rows)


def _plan(traced: Trace, costs: CostModel, plan: PruningPlan) -> str:
    rows = [
        (cut.name, str(cut.before), _yes(cut.exact), _saved(traced, costs, place), str(cut.after))
        for place, cut in enumerate(plan.groups)
    ]
    return table("Plan", ("group", "channels", "exact", "saves at most", "kept"), rows)


def _saved(traced: Trace, costs: CostModel, place: int) -> str:
    removed = [_all_but_one(group, number == place) for number, group in enumerate(traced.groups)]
    return f"{1 - costs(removed).macs / max(costs.dense.macs, 1):.1%}"


def _all_but_one(group: ChannelGroup, chosen: bool) -> torch.Tensor:
    removed = torch.full((group.size,), chosen)
    removed[0] = False
    return removed


def _costs(plan: PruningPlan) -> str:
    pairs = (("multiply-adds", plan.macs), ("parameters", plan.params))
    rows = [(name, short(dense), short(pruned), f"{pruned / dense:.1%}") for name, (dense, pruned) in pairs if dense]
    costs = table("Costs", ("", "dense", "pruned", "kept"), rows)
    return f"{costs}\n\n{latency_words(plan.latency)}" if plan.latency else costs


def _left_whole(traced: Trace) -> str:
    return table("Left whole", ("module: why",), [(f"{left.name}: {left.reason}",) for left in traced.left_whole])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


INSPECT = Command(
    "inspect", "Show which channels of a network can be cut, and which would be.", EXAMPLES, add_options, run
)
