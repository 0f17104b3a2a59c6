"""``inspect``: what can be cut from a network, what cannot and why, what it costs, and the plan for a target."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands.cut_options import add_target_options, previewed_by
from physprune_pl.commands.network_options import add_network_options, network_of
from physprune_pl.commands.parsers import command_parser

SUMMARY = "Show which channels of a network can be cut, and which would be."
EXAMPLES = """\
examples:
  python -m physprune_pl inspect --model torchvision.models:resnet50 --input 1,3,224,224
  python -m physprune_pl inspect --model torchvision.models:resnet50 --input 1,3,224,224 \\
      --target macs=0.4 --round-to 8 --ignore layer4 --save-plan plan.json
  python -m physprune_pl inspect --model my_package.networks:build --model-args width=2 --input 1,3,32,32 \\
      --checkpoint last.ckpt

"saves at most": MACs that the network would lose if the group had one channel left.
A group is exact when channels whose filters are zero leave without changing the output.
"""


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    own = command_parser(SUMMARY, EXAMPLES)
    add_network_options(own)
    add_target_options(own)
    own.add_argument("--save-plan", metavar="FILE", help="write the plan for --target as JSON")
    return own


def run(options: Namespace) -> str:
    """Trace and plan, and return everything as text.

    Raises:
        ValueError: the network cannot be made or traced, or the target cannot be met.
    """
    if options.save_plan and not options.target:
        raise ValueError("--save-plan needs a --target")
    found = previewed_by(options, network_of(options))
    if found.plan is None or not options.save_plan:
        return str(found)
    Path(options.save_plan).write_text(found.plan.to_json() + "\n", encoding="utf-8")
    return f"{found}\n\nPlan written to {options.save_plan}."
