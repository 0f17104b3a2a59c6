"""One network through the tracer and the oracle, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from experiments.structures.accounts import filter_modules, is_named, malformed, unaccounted
from experiments.structures.nets import Case
from experiments.structures.networks import make
from experiments.structures.oracle import complement, draw_removed, errors, planned, visible_gain
from experiments.structures.snapshot import Snapshot
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.structure import Trace
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.tracing.tracer import trace

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
SHARES = (0.5, 0.25, 0.75)
TARGET = 0.5


@dataclass
class Verdict:
    """What the tracer made of a network.

    Attributes:
        name: name of the network.
        groups: number of groups, of channels in them, and of groups that are exact.
        left_whole: names of the modules not pruned.
        error: worst relative error by dtype over subsets, modes and references.
        seconds: wall time of the trace.
        problems: what is wrong, in words; empty if all is well.
        macs: share of the MACs that stays after a cut to a target, if there was one.
    """

    name: str
    groups: tuple[int, int, int]
    left_whole: tuple[str, ...]
    error: dict[str, float]
    seconds: float
    problems: list[str] = field(default_factory=list)
    macs: float | None = None


def judge(case: Case) -> Verdict:
    """Trace a network of the collection, cut it at random, and compare with what is expected of it."""
    torch.manual_seed(0)
    model, example = case.build(), case.example()
    model.get_submodule(case.cut[0] if case.cut else "").eval()
    before = Snapshot(model, example)
    try:
        traced = trace(model, example)
    except ValueError as error:
        if not case.refusal or case.refusal not in str(error):
            raise
        return Verdict(case.name, (0, 0, 0), ("refused: " + case.refusal,), {}, 0.0, before.changes(model, example))
    verdict = judge_trace(case.name, model, example, traced)
    verdict.problems += before.changes(model, example)
    filters = filter_modules(traced.groups)
    verdict.problems += [f"{name} is not cut" for name in case.cut if name not in filters]
    verdict.problems += [f"{name} is not named as not pruned" for name in case.whole if not is_named(traced, name)]
    verdict.problems += [
        f"{name} is neither cut nor named" for name in case.either if name not in filters and not is_named(traced, name)
    ]
    verdict.problems += [f"{name} is in a group" for name in case.whole if name in filters]
    return verdict


def judge_network(name: str) -> Verdict:
    """Trace a full-size network, cut a random half of all groups, and cut it to half of its MACs."""
    model, example = make(name)
    traced = trace(model, example)
    verdict = judge_trace(name, model, example, traced, shares=(0.5,), pieces=False)
    plan = plan_pruning(model, example, {"macs": TARGET})
    _try(verdict, model, traced, example, planned(plan), "target")
    verdict.macs = plan.macs[1] / plan.macs[0]
    apply_plan(model, plan)
    counted = (count_macs(model, example), count_parameters(model))
    if counted != (plan.macs[1], plan.params[1]) or abs(verdict.macs / TARGET - 1) > 0.02:
        verdict.problems.append(f"target {TARGET}: planned {plan.macs}, {plan.params}, counted {counted}")
    return verdict


def judge_trace(
    name: str, model: nn.Module, example: Any, traced: Trace, shares: Sequence[float] = SHARES, pieces: bool = True
) -> Verdict:
    """Check the groups of a trace as data, then cut random channels and ask the oracle.

    Args:
        name: name of the network.
        model: the traced network.
        example: the input it was traced with.
        traced: its trace.
        shares: shares of all groups that are removed, one subset each.
        pieces: cut every group by itself too.
    """
    groups = traced.groups
    counts = (len(groups), sum(group.size for group in groups), sum(group.exact for group in groups))
    verdict = Verdict(name, counts, tuple(left.name for left in traced.left_whole), {}, traced.seconds)
    verdict.problems += malformed(traced) + [f"{module} is neither cut nor named" for module in unaccounted(traced)]
    if not groups:
        return verdict
    for seed, share in enumerate(shares):
        dtypes = ("float64",) if seed else tuple(DTYPES)
        _try(verdict, model, traced, example, draw_removed(traced, share, seed), f"{share:.0%} of all groups", dtypes)
    for place in range(len(groups) if pieces else 0):
        _try_alone(verdict, model, traced, example, place)
    return verdict


def _try_alone(verdict: Verdict, model: nn.Module, traced: Trace, example: Any, place: int) -> None:
    """Cut half of one group, then the other half."""
    alone = replace(traced, groups=(traced.groups[place],))
    half = draw_removed(alone, 0.5, place)
    gain: float | None = None
    for which, gone in (("half", half), ("other half", complement(alone, half))):
        removed = [torch.zeros(group.size, dtype=torch.bool) for group in traced.groups]
        removed[place] = gone[0]
        what = f"{which} of {traced.groups[place].name} alone"
        gain = gain or visible_gain(model, traced, example, removed)
        if gain is None:
            verdict.problems.append(f"{what}: no output changes, so nothing is judged")
        else:
            _try(verdict, model, traced, example, removed, what, ("float64",), gain)


def _try(
    verdict: Verdict,
    model: nn.Module,
    traced: Trace,
    example: Any,
    removed: Sequence[torch.Tensor],
    what: str,
    dtypes: Sequence[str] = tuple(DTYPES),
    gain: float = 1.0,
) -> None:
    for name in dtypes:
        try:
            found = errors(model, traced, example, removed, DTYPES[name], gain)
        except Exception as error:  # a cut network may fail in any way; each is a finding
            verdict.problems.append(f"{what}, {name}: {type(error).__name__}: {error}")
            continue
        verdict.error[name] = max(verdict.error.get(name, 0.0), *found.values())
        wrong = {mode: value for mode, value in found.items() if not value <= TOLERANCE[DTYPES[name]]}
        if wrong:
            verdict.problems.append(
                f"{what}, {name}: " + ", ".join(f"{mode} {value:.1e}" for mode, value in wrong.items())
            )
