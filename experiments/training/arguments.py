"""Checks the command line before Hydra reads it: a key that there is not is answered with those that there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.training.assembly import CONF, CompositionError, composed, with_recipe
from physprune_pl.tools.choices import near

# A plain override, KEY=VALUE: one with a plus or a tilde adds or removes, and is Hydra's own affair.
OVERRIDE = re.compile(r"([\w./-]+)=(.*)", re.DOTALL)
SHOWN = 40


def checked(arguments: Sequence[str]) -> list[str]:
    """Return the command line as Hydra takes it: ``experiment=NAME`` gets the plus that Hydra asks for.

    Raises:
        SystemExit: with status 1, when a key does not exist; the message names the closest one and all of its level.
    """
    arguments = with_recipe(arguments)
    problem = None if _elsewhere(arguments) else wrong_key(arguments)
    if problem:
        sys.exit(problem)
    return arguments


def _elsewhere(arguments: Sequence[str]) -> bool:
    """Whether the configuration is another one, whose keys only Hydra knows."""
    flags = ("--config-", "-cp", "-cn", "-cd", "--experimental-rerun")
    return any(argument.startswith(flags) for argument in arguments)


def wrong_key(arguments: Sequence[str]) -> str | None:
    """Return what is wrong with the first key that does not exist; None where all do.

    Args:
        arguments: the command line without the program, flags included.
    """
    groups = {path.name for path in Path(CONF).iterdir() if path.is_dir()}
    overrides = [argument for argument in arguments if "=" in argument or argument.startswith("~")]
    overrides = [one for one in overrides if not one.lstrip("+~").startswith(("-", "hydra.", "hydra/"))]
    plain = [found.groups() for found in map(OVERRIDE.fullmatch, overrides) if found]
    keys = [key for key, _ in plain if key not in groups]
    chosen = [f"{key}={value.split(',')[0]}" for key, value in plain if key in groups]
    others = [one for one in overrides if not OVERRIDE.fullmatch(one)]
    try:
        config = composed([*chosen, *others])
    except CompositionError:
        return None  # a choice that there is not: Hydra lists the ones that there are
    tree = OmegaConf.to_container(config)
    assert isinstance(tree, dict)
    return next(filter(None, (_problem(tree, key, groups) for key in keys)), None)


def _problem(tree: Mapping[Any, Any], key: str, groups: set[str]) -> str | None:
    """Follow a key into the configuration; say where it ends, if it does."""
    level: Any = tree
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if isinstance(level, list):
            return None
        if not isinstance(level, Mapping) or part not in level:
            above = ".".join(parts[:depth])
            return _message(key, part, above, _keys(level), _guess(tree, part, above, _keys(level), groups))
        level = level[part]
    return None


def _keys(level: Any) -> list[str]:
    return sorted(map(str, level)) if isinstance(level, Mapping) else []


def _guess(tree: Mapping[Any, Any], part: str, above: str, here: list[str], groups: set[str]) -> str | None:
    """Return the closest key of the level, else one of the same name at another level."""
    close = near(part, [*here, *(groups if not above else ())])
    if close:
        return f"{above}.{close[0]}" if above else close[0]
    return next((path for path in _paths(tree) if path.rpartition(".")[2] == part), None)


def _paths(tree: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{name}.")


def _message(key: str, part: str, above: str, here: list[str], guess: str | None) -> str:
    where = f"under {above}" if above else "at the top"
    lines = [f"There is no key {part!r} {where}, as in {key}=..."]
    if guess:
        lines.append(f"Did you mean {guess}?")
    lines.append(f"Keys {where}: {', '.join(here[:SHOWN])}." if here else f"{above} has no keys: it is a single value.")
    lines.append(f"To add a key that the configuration does not have, write +{key}=...; help: python train.py --help")
    return "\n".join(lines)
