"""The numbers that a config needs for a cut network.

A size follows some of the numbers, proportionally (power 1) or inversely (power -1), so what is left of it is a product
of what is left of them:

    size after / size before = product over the numbers n of  (value of n after / value of n before) ** power

which is solved from the sizes that follow one number to those that follow several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from torch import nn

from physprune_pl.surgery.configs.blueprint import Blueprint, Place, Powers, Sizes, describes, sizes_of
from physprune_pl.surgery.configs.entries import Number, Numbers, Path, numbers

Shares = dict[Path, Fraction]
Equation = tuple[Powers, Fraction]

# A ratio that is a hair too small would lose a channel where a class rounds down.
_NUDGE = 1 + 1e-12


def description(blueprint: Blueprint, model: nn.Module) -> Numbers | None:
    """Return the entries that change a config so that it describes a network.

    Args:
        blueprint: the class of the network, and the config of before the cut.
        model: the network.

    Returns:
        Entries and their numbers, none where the config is right as it is; None if no numbers describe the network.
    """
    sizes = sizes_of(model)
    if blueprint.standard is None or sizes.keys() != blueprint.sizes.keys():
        return None
    if describes(blueprint.standard, model):
        return {}
    found = _fitting(blueprint, {}, blueprint.plain_powers, sizes, model)
    return found or _fitting(blueprint, blueprint.explicit, blueprint.explicit_powers, sizes, model)


def _fitting(
    blueprint: Blueprint, given: Numbers, powers: Mapping[Place, Powers], after: Sizes, model: nn.Module
) -> Numbers | None:
    """Return the numbers that the sizes ask for if a network built with them is like the model."""
    found = _solved({**numbers(blueprint.config), **given}, given, _shares(powers, blueprint.sizes, after))
    rebuilt = None if found is None else blueprint.built(found)
    return found if rebuilt is not None and describes(rebuilt, model) else None


def _solved(values: Numbers, given: Numbers, shares: Shares | None) -> Numbers | None:
    """Return the entries that change, and those that must be said; None where one would be no whole number."""
    found = {path: _scaled(values[path], share) for path, share in (shares or {}).items() if share != 1}
    if shares is None or any(value is None for value in found.values()):
        return None
    return {**given, **{path: value for path, value in found.items() if value is not None}}


def _shares(follows: Mapping[Place, Powers], before: Sizes, after: Sizes) -> Shares | None:
    """Return what is left of each number; None if sizes contradict each other."""
    shares: Shares = {}
    # Dimensions come first: what a module remembers may be all there is of a number, or may be old.
    for kind in (int, str):
        equations = [
            (powers, Fraction(after[place], before[place]))
            for place, powers in follows.items()
            if type(place[1]) is kind
        ]
        while step := dict(_settled(equations, shares)):
            shares |= step
        if kind is int and not all(_product(powers, shares) in (None, share) for powers, share in equations):
            return None
    return shares


def _settled(equations: Iterable[Equation], shares: Shares) -> Iterator[tuple[Path, Fraction]]:
    """Yield numbers that are the last unknown ones of an equation."""
    for powers, share in equations:
        unknown = [path for path in powers if path not in shares]
        if len(unknown) == 1:
            known = _product({path: power for path, power in powers.items() if path in shares}, shares)
            yield unknown[0], (share / (known or Fraction(1))) ** powers[unknown[0]]


def _product(powers: Powers, shares: Shares) -> Fraction | None:
    """Return what is left of a size that follows some numbers; None while one of them is unknown."""
    product = Fraction(1)
    for path, power in powers.items():
        if path not in shares:
            return None
        product *= shares[path] ** power
    return product


def _scaled(value: Number, share: Fraction) -> Number | None:
    """Return a share of a number, a whole one of a whole one; None if there is none."""
    if isinstance(value, float):
        exact = Fraction(value) * share
        return float(exact) if exact.denominator == 1 else float(exact) * _NUDGE
    exact = value * share
    return int(exact) if exact.denominator == 1 else None
