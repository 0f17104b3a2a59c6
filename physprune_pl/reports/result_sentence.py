"""What a fit did, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from physprune_pl.reports.fit_facts import FitFacts
from physprune_pl.reports.measured_moments import PHASES, before_and_after
from physprune_pl.reports.wording import score, speed
from physprune_pl.tools.plain_tables import saving

Costs = Mapping[str, float]


def result_sentence(
    facts: FitFacts, macs: Costs, latency_ms: Mapping[str, Costs], metric: Mapping[str, Any], seed: int | None
) -> str:
    """Return network, data, law, target, epochs, seed, and what came of them, as far as each is known.

    >>> facts = FitFacts("ResNet", "Digits", "uniform", {"macs": 0.4}, {"sparsify": 6, "finetune": 2})
    >>> print(result_sentence(facts, {"dense": 10, "pruned": 4}, {}, {"name": "loss", "after_cut": 0.5}, 1))
    ResNet on Digits, law uniform, target 40 % of the MACs, 6 + 2 epochs, seed 1: 2.50x fewer MACs (40 % kept), \
loss (val) 0.5000 right after the cut.
    """
    what = ", ".join(_settings(facts, seed))
    came = ", ".join([saving(macs["dense"], macs["pruned"], "fewer MACs"), *_faster(latency_ms), *_scores(metric)])
    return f"{what}: {came}." if what else f"{came}."


def _settings(facts: FitFacts, seed: int | None) -> Iterator[str]:
    if facts.network:
        yield " on ".join(filter(None, [facts.network, facts.data]))
        yield f"law {facts.law}" if facts.law else "no force law"
    yield from filter(None, [facts.aim, facts.length])
    if seed is not None:
        yield f"seed {seed}"


def _faster(latency_ms: Mapping[str, Costs]) -> Iterator[str]:
    for batch, cost in latency_ms.items():
        yield f"{' '.join(speed(cost))} ({batch.replace('_', ' ')})"


def _scores(metric: Mapping[str, Any]) -> Iterator[str]:
    found = [moment for moment in before_and_after(metric) if moment is not None]
    if found:
        name = str(metric.get("name"))
        values = (f"{score(name, metric[moment])} {PHASES[moment]}" for moment in found)
        yield f"{name} ({metric.get('split', 'val')}) {' → '.join(values)}"
