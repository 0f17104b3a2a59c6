"""A model probed in eval mode and, where it runs differently there, before its first run and in train mode."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.runner import Run, Runner
from physprune_pl.probing.sizes.known_numbers import remembered_sizes
from physprune_pl.probing.watching.observations import Family
from physprune_pl.probing.watching.tainting import ModulePath
from physprune_pl.tracing.asking.collector import Collector
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.first_runs import FirstRuns


def collect(model: nn.Module, runs: FirstRuns) -> tuple[Evidence, tuple[str, ...]]:
    """Probe a model in eval mode and, where it runs differently there, before its first run and in train mode.

    Returns the evidence and notes for the user.
    """
    evidence, notes, example = Evidence(), [], runs.example
    with ModulePath(model) as path, remembered_sizes(model):
        model.eval()  # a model may merge or fold its weights then, and remember that it has
        steady = SavedState(model)
        first = Collector(Runner(model, example.sized(1), path, steady), evidence)
        first.register()
        first.collect()
        evidence.mixings = first.clean.probe.mixings
        evidence.products = first.clean.probe.heads.products
        parameters = dict(model.named_parameters()).keys()
        if runs.used != first.clean.probe.used & parameters:
            runs.fresh.restore()
            fresh = Collector(Runner(model, example.sized(1), path, runs.fresh, "first run"), evidence)
            fresh.register()
            fresh.collect()
            steady.restore()
        model.train()
        trained = SavedState(model)
        try:
            second = _in_train_mode(lambda: Runner(model, example.sized(2), path, trained), evidence, first)
        except Exception as error:  # a model that cannot be trained on this example is traced as it is evaluated
            notes.append(f"train mode could not be traced: {type(error).__name__}: {error}")
            return evidence, tuple(notes)
        second.register()
        new = second.clean.probe.used & parameters - first.clean.probe.used  # written by index, of which no call tells
        if new or _calls(second.clean) != _calls(first.clean):
            second.collect()
    return evidence, tuple(notes)


def _in_train_mode(runner: Callable[[], Runner], evidence: Evidence, first: Collector) -> Collector:
    """Return what collects in train mode; where the model makes the calls of eval mode, most is known from there."""
    hopeful = runner()
    hopeful.foreign = first.runner.foreign  # no channel is NaN in the one run, so there is nothing to keep from them
    found = Collector(hopeful, evidence, first.runner.walls)
    return found if _makes_the_calls_of(first.clean, found.clean) else Collector(runner(), evidence)


def _makes_the_calls_of(one: Run, other: Run) -> bool:
    """Return whether a run makes all operations of another one in their order, and sees the same between them."""
    rest = iter(_operations(other))  # train mode counts batches too
    alike = _calls(one) == _calls(other) and one.probe.norms.calls == other.probe.norms.calls
    return alike and all(operation in rest for operation in _operations(one))


def _operations(run: Run) -> list[str]:
    """Return all operations of a run in order, and what was seen between them."""
    return [one.replace(f"('{run.probe.mode} ", "('") for one in run.probe.sequence]


def _calls(run: Run) -> list[tuple[str, Family | None, int]]:
    nameless = f"{run.probe.mode} "
    calls = [seen for seen in run.seen if seen.kind != "sum"]  # which of them are looked at is another matter
    names = (None if seen.family[0].startswith(nameless) else seen.family for seen in calls)
    return [(seen.kind, name, len(seen.pattern)) for seen, name in zip(calls, names, strict=True)]
