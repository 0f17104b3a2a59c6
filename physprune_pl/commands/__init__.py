"""Commands for networks and finished runs: look into a network, export it, time it; show a run, compare several.

A command is one module with an object of :class:`Command`; adding one means adding it to ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from physprune_pl.commands.command import Command, described
from physprune_pl.commands.comparing import COMPARE
from physprune_pl.commands.exporting import EXPORT
from physprune_pl.commands.inspecting import INSPECT
from physprune_pl.commands.reporting import REPORT
from physprune_pl.commands.timing import LATENCY
from physprune_pl.tools.progress import show_steps

COMMANDS: tuple[Command, ...] = (INSPECT, REPORT, COMPARE, EXPORT, LATENCY)

EXAMPLES = """\
before training, what could be cut from a network, and what would be left:
  python -m physprune_pl inspect --model torchvision.models:resnet50 --input 1,3,224,224 --target macs=0.4

after training, the page of a run, and several runs side by side:
  python -m physprune_pl report runs/demo
  python -m physprune_pl compare runs/uniform runs/gravity

for use, how much faster the pruned network is here, and the file to serve it from:
  python -m physprune_pl latency --model my_package:build --input 1,3,32,32 --checkpoint last.ckpt
  python -m physprune_pl export --model my_package:build --input 1,3,32,32 --checkpoint last.ckpt --out model.onnx

Each command explains itself: python -m physprune_pl COMMAND --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, or 2 with one line on the error stream.

    Args:
        arguments: words of the command line; None takes those that the process was started with.
    """
    chosen = parser().parse_args(arguments)
    try:
        with show_steps():
            text = chosen.command.run(chosen)
        print(text)
    # The network is the user's own and may raise anything.
    except Exception as error:
        if chosen.debug:
            raise
        print(f"error: {told(error)}", file=sys.stderr)
        return 2
    return 0


def told(error: Exception) -> str:
    """Return an error as one line; one that no command expects with its type and how to find its place.

    >>> told(ValueError("rounds: expected at least 1, got 0")), told(KeyError("x"))
    ('rounds: expected at least 1, got 0', "KeyError: 'x' (--debug shows where)")
    """
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError)
    return text if expected else f"{type(error).__name__}: {text} (--debug shows where)"


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = described(argparse.ArgumentParser(prog="python -m physprune_pl"), __doc__.splitlines()[0], EXAMPLES)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        own = described(commands.add_parser(command.name, help=command.summary), command.summary, command.examples)
        command.add_options(own)
        own.add_argument("--debug", action="store_true", help="show where an error comes from")
        own.set_defaults(command=command)
    return top
