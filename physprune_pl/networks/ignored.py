"""Modules that a user wants not pruned, by name, by pattern or as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from physprune_pl.networks.names import plain, uncompiled
from physprune_pl.tools.choices import unknown
from physprune_pl.tools.patterns import compiled

Entry = str | re.Pattern[str] | nn.Module
Ignore = Entry | Iterable[Entry]
"""What an argument ``ignore`` takes: a name, a regular expression of names, a module, or several of them."""


@dataclass(frozen=True)
class Ignored:
    """The modules of an argument ``ignore``, each with all that is in it.

    Attributes:
        entries: as they were given.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 3)))
    >>> sorted(Ignored.of("1").names(net)), sorted(Ignored.of([r"1\\.\\d+"]).names(net))
    (['1', '1.0', '1.1'], ['1.0', '1.1'])
    >>> Ignored.of(net[0]).names(net)
    {'0'}
    """

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, ignore: Ignore | Ignored) -> Ignored:
        """Read the argument, and check what can be checked without a network.

        Raises:
            ValueError: a string is no regular expression.
            TypeError: it is anything else than strings, patterns and modules.
        """
        if isinstance(ignore, cls):
            return ignore
        single = isinstance(ignore, str | re.Pattern | nn.Module)
        if not single and not isinstance(ignore, Iterable):
            raise TypeError(f"ignore: expected names, regular expressions or modules, got {ignore!r}")
        entries = (ignore,) if single else tuple(ignore)  # type: ignore[arg-type]
        for entry in entries:
            if not isinstance(entry, nn.Module):
                compiled("ignore", entry)
        return cls(entries)  # type: ignore[arg-type]

    def __or__(self, other: Ignored) -> Ignored:
        """Return what is ignored by one of two."""
        known = {id(entry) if isinstance(entry, nn.Module) else entry for entry in self.entries}
        new = (entry for entry in other.entries if (id(entry) if isinstance(entry, nn.Module) else entry) not in known)
        return Ignored((*self.entries, *new))

    def by_name(self, model: nn.Module) -> Ignored:
        """Return the same for copies of a network, in which its modules have other objects.

        Raises:
            ValueError: an entry is no module of the network, or stands for none.
        """
        return Ignored(tuple(re.compile(re.escape(name)) for name in sorted(self.names(model))))

    def names(self, model: nn.Module) -> set[str]:
        """Return the names of the modules of a network, free of what compiling puts in.

        Raises:
            ValueError: an entry is no module of the network, or stands for none.
        """
        modules = {plain(name): uncompiled(module) for name, module in model.named_modules(remove_duplicate=False)}
        tops = [top for entry in self.entries for top in _found(entry, modules)]
        return {name for name in modules if any(f"{name}.".startswith(f"{top}.") or not top for top in tops)}


def _found(entry: Entry, modules: dict[str, nn.Module]) -> list[str]:
    if isinstance(entry, nn.Module):
        found = [name for name, module in modules.items() if module is uncompiled(entry)]
        if not found:
            raise ValueError(f"ignore: expected modules of the network, got {type(entry).__name__}, which is not in it")
        return found
    entry = plain(entry) if isinstance(entry, str) else entry
    pattern = compiled("ignore", entry)
    names = [name for name in modules if name]
    found = [name for name in names if name == entry or pattern.fullmatch(name)]
    if not found:
        raise ValueError(unknown("ignore", pattern.pattern, names, "names or regular expressions of modules such as"))
    return found
