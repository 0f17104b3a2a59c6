"""Commands for networks and finished runs: look into a network, export it, time it; show a run, compare several.

A command is one module with its ``parser`` and what ``run``s it; adding one means adding it to ``COMMANDS``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands import comparing, exporting, inspecting, reporting, timing
from physprune_pl.commands.parsers import described
from physprune_pl.tools.progress import show_steps

Parts = tuple[Callable[[], ArgumentParser], Callable[[Namespace], str]]

COMMANDS: dict[str, Parts] = {
    "inspect": (inspecting.parser, inspecting.run),
    "report": (reporting.parser, reporting.run),
    "compare": (comparing.parser, comparing.run),
    "export": (exporting.parser, exporting.run),
    "latency": (timing.parser, timing.run),
}
"""Word -> what makes the parser of its options, and what does it and returns the text to print."""

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
    options = chosen[chosen.command]
    try:
        with show_steps():
            text = COMMANDS[chosen.command][1](options)
        print(text)
    # The network is the user's own and may raise anything.
    except Exception as error:
        if options.debug:
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


def parser() -> ArgumentParser:
    """Return the parser of all commands."""
    top = described(__doc__.splitlines()[0], EXAMPLES, prog="python -m physprune_pl")
    commands = top.add_subcommands(dest="command", required=True, metavar="COMMAND")
    for name, (make, _) in COMMANDS.items():
        own = make()
        commands.add_subcommand(name, own, help=own.description)
    return top
