"""What the parsers of all commands have in common, and how they read values that are written as one word."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from jsonargparse import ArgumentParser


def described(summary: str, examples: str, prog: str | None = None) -> ArgumentParser:
    """Return a parser without options of its own, whose help ends with examples that keep their lines."""
    look = RawDescriptionHelpFormatter
    return ArgumentParser(description=summary, epilog=examples, formatter_class=look, allow_abbrev=True, prog=prog)


def command_parser(summary: str, examples: str) -> ArgumentParser:
    """Return the parser of a command with the options that every command has."""
    parser = described(summary, examples)
    parser.add_argument("--config", action="config", metavar="FILE", help="options in a YAML file, by their names")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def read_by(read: Callable[[str], object]) -> Callable[[Any], Any]:
    """Return a type for options that checks a word, or several, and leaves text, which a file of options can hold.

    Args:
        read: raises an :class:`argparse.ArgumentTypeError` for a word that is not as it should be.

    >>> read_by(int)("3"), read_by(int)(["3", "4"])
    ('3', ['3', '4'])
    """

    def checked(given: Any) -> Any:
        for word in given if isinstance(given, list) else [given]:
            read(word)
        return given

    return checked
