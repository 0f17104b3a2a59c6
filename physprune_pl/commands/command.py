"""What a command is, and how its help looks."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        name: the word that calls it.
        summary: what it does, in one sentence.
        examples: how it is called, shown below its options.
        add_options: adds its options to a parser.
        run: does it and returns the text to print.
    """

    name: str
    summary: str
    examples: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], str]


def described(parser: argparse.ArgumentParser, summary: str, examples: str) -> argparse.ArgumentParser:
    """Give a parser its description, and examples that keep their lines."""
    parser.description, parser.epilog = summary, examples
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser
