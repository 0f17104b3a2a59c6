"""What a configuration would cut, told without training: ``python train.py inspect=true``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightning as L
from omegaconf import DictConfig

from experiments.training.assembly import build_data, build_model, build_pruning
from experiments.training.classifier import Classifier
from experiments.training.outcome import dense_report
from physprune_pl import PruneAndFinetune, PruningReport, plan_pruning
from physprune_pl.reports.tables import terminal
from physprune_pl.targets.target import TargetError
from physprune_pl.tracing.tracer import trace

NOTE = (
    "Nothing was trained. The plan ranks channels by the strengths of these weights; a run chooses while it trains, so "
    "its widths differ and its costs meet the same target."
)


def inspection(config: DictConfig) -> str:
    """Trace the network of a configuration and return its groups, its costs and the plan for the target as text.

    No data are read, but where the network can only be built from them. A target out of reach is said so.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    model = build_model(config, build_data(config))
    pruner = build_pruning(config)[1]
    try:
        report = planned(model, pruner) if pruner else untouched(model)
    except TargetError:
        assert pruner is not None
        return pruner.preview(model)
    widths = [
        (group["name"], str(group["before"]), str(group["after"]), "yes" if group["exact"] else "no")
        for group in report.groups
    ]
    groups = terminal("Groups", ("group", "channels", "kept", "exact"), widths)
    return "\n".join([groups, report.table(), *(["", NOTE] if pruner else [])])


def planned(model: Classifier, pruner: PruneAndFinetune) -> PruningReport:
    """Return the report of a cut with the weights as they are.

    Raises:
        TargetError: when the target is out of reach.
    """
    session, widths = pruner.session, pruner.widths
    plan = plan_pruning(
        model,
        model.example_input_array,
        pruner.target,
        session.ignore,
        widths.round_to,
        session.strength,
        widths.min_share,
        widths.max_share,
        session.stopwatch,
    )
    macs, params = (dict(zip(("dense", "pruned"), cost, strict=True)) for cost in (plan.macs, plan.params))
    whole: list[Mapping[str, str]] = [dict(vars(part)) for part in plan.left_whole]
    groups: list[Mapping[str, Any]] = [vars(cut) for cut in plan.groups]
    return PruningReport(macs, params, {"name": "accuracy"}, groups, whole, latency_target=plan.latency)


def untouched(model: Classifier) -> PruningReport:
    """Return the report of a network of which nothing is to be cut: its groups as they are."""
    traced = trace(model, model.example_input_array)
    groups: list[Mapping[str, Any]] = [
        {"name": group.name, "before": group.size, "after": group.size, "exact": group.exact} for group in traced.groups
    ]
    whole: list[Mapping[str, str]] = [dict(vars(part)) for part in traced.left_whole]
    return replace(dense_report(model), groups=groups, left_whole=whole)
