"""The same network under several laws at several targets, and what its table says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import AT, Arm
from experiments.training.sweeps.figures import ArmFigures, percent
from physprune_pl.reports.tables import markdown

Runs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curves:
    """A comparison at several targets instead of one.

    Attributes:
        comparison: network, data, epochs and laws; its own target is the first.
        shares: further shares of the MACs to keep.
    """

    comparison: LawComparison
    shares: tuple[float, ...]

    @property
    def targets(self) -> tuple[float, ...]:
        """All shares, the mildest first."""
        return tuple(sorted({self.comparison.share, *self.shares}, reverse=True))

    @property
    def arms(self) -> list[Arm]:
        """The dense network, then every law at every target."""
        found = self.comparison.arms[:1]
        for share in self.targets:
            arms = replace(self.comparison, share=share).arms[1:]
            found += [replace(arm, name=f"{arm.name}{AT}{share}") for arm in arms]
        return found


def law_and_share(arm: str) -> tuple[str, float]:
    """Return what the name of an arm says.

    >>> law_and_share("uniform at 0.2")
    ('uniform', 0.2)
    """
    law, _, share = arm.rpartition(AT)
    return law, float(share)


def curves(found: Runs) -> dict[str, dict[float, list[Mapping[str, Any]]]]:
    """Return law -> share of the MACs asked for -> runs, the mildest target first; the dense runs are no curve."""
    lines: dict[str, dict[float, list[Mapping[str, Any]]]] = {}
    for one in found:
        if AT in one["arm"]:
            law, share = law_and_share(one["arm"])
            lines.setdefault(law, {}).setdefault(share, []).append(one)
    return {law: dict(sorted(points.items(), reverse=True)) for law, points in lines.items()}


def tables(found: Runs) -> str:
    """Return accuracy after fine-tuning, and right after the cut, in per cent: a row per law, a column per target."""
    parts = (("fine-tuned", "after_finetune"), ("right after the cut", "after_cut"), ("before it", "after_sparsify"))
    return "\n".join(_table(found, title, phase) for title, phase in parts)


def _table(found: Runs, title: str, phase: str) -> str:
    lines = curves(found)
    shares = sorted({share for points in lines.values() for share in points}, reverse=True)
    dense = percent(ArmFigures.of([one for one in found if one["arm"] == "dense"]).scores("dense"))
    head = (f"{title}; dense {dense}", *(f"{share:.0%}" for share in shares))
    return markdown(head, [(law, *_cells(points, shares, phase)) for law, points in lines.items()])


def _cells(points: Mapping[float, Runs], shares: Sequence[float], phase: str) -> Iterator[str]:
    for share in shares:
        yield percent(ArmFigures.of(points.get(share, [])).scores(phase))
