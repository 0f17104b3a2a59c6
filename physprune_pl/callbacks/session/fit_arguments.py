"""What a user wants of a fit, before there is a network: the arguments that the callbacks of the fit have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from reprlib import repr as short
from typing import Any

from physprune_pl.latency import Stopwatch
from physprune_pl.networks.example import ExampleInput
from physprune_pl.networks.ignored import Ignored
from physprune_pl.selections import Selection
from physprune_pl.strengths import Strength
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths


@dataclass(frozen=True)
class FitArguments:
    """Arguments of a :class:`~physprune_pl.callbacks.session.session.PruningSession`; None where nothing was said.

    >>> FitArguments(module="net").merged(FitArguments(ignore=Ignored(("head",)))).module
    'net'
    """

    module: str | None = None
    example_input: ExampleInput | None = None
    ignore: Ignored = field(default_factory=Ignored)
    strength: Strength | None = None
    target: Target | None = None
    widths: Widths = field(default_factory=Widths)
    select: Selection | None = None
    stopwatch: Stopwatch | None = None

    def __post_init__(self) -> None:
        if self.module is not None and not isinstance(self.module, str):
            raise TypeError(f"module: expected the name of a submodule, got {short(self.module)}")
        threshold = self.target is not None and self.target.kind == "threshold"
        if threshold and self.select is not None and not self.select.takes_strengths:
            raise ValueError(
                f"select: a threshold compares the strengths of a group, and nothing else; expected 'strength', got "
                f"{self.select!r}; take a target of macs, params or latency"
            )

    def merged(self, other: FitArguments) -> FitArguments:
        """Return the arguments of two callbacks that share a fit.

        Raises:
            ValueError: they want two things at once.
        """
        single = {part.name for part in fields(self)} - {"ignore", "widths"}
        chosen = {name: _either(name, getattr(self, name), getattr(other, name)) for name in single}
        return replace(self, **chosen, ignore=self.ignore | other.ignore, widths=_joined(self.widths, other.widths))


def _joined(one: Widths, two: Widths) -> Widths:
    return Widths(
        _either("round_to", one.round_to, two.round_to),
        _union("min_share", one.min_share, two.min_share),
        _union("max_share", one.max_share, two.max_share),
        _either("same_width", one.same_width or None, two.same_width or None) or (),
    )


def _union(name: str, one: Mapping[str, float], two: Mapping[str, float]) -> dict[str, float]:
    return {key: _either(f"{name} of {key!r}", one.get(key), two.get(key)) for key in {**one, **two}}


def _either(name: str, one: Any, two: Any) -> Any:
    if one is None or two is None or one is two:
        return two if one is None else one
    # Tensors have no single answer to whether they are equal, and are wanted once.
    if name == "example_input" or one != two:
        raise ValueError(
            f"{name}: expected one for the force and the cut of a fit, got {short(one)} and {short(two)}; give it to "
            f"one of the two callbacks"
        )
    return one
