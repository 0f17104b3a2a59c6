"""Why a target is out of reach of a fit: what nothing trains counts as it would, and no force empties it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import takewhile

from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.trained_parameters import trained_names
from physprune_pl.networks.names import plain
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.costs import CostModel
from physprune_pl.targets.target import TargetError

_COSTS = {"params": "parameters", "macs": "MACs"}


def with_reasons(
    error: TargetError, trainer: Trainer, pl_module: LightningModule, session: PruningSession, chooser: Chooser
) -> TargetError:
    """Return the error with what is frozen or in no optimizer, and what to do about it."""
    reasons = [_frozen(trainer, pl_module, session, chooser)]
    if waiting := [f"{name}: {reason}" for name, reason in session.waiting.items()]:
        reasons.append(f"not pruned as long as nothing trains them: {'; '.join(waiting)}")
    return TargetError("; ".join([str(error), *filter(None, reasons)]), error.closest)


def _frozen(trainer: Trainer, pl_module: LightningModule, session: PruningSession, chooser: Chooser) -> str:
    kind, share = chooser.target.kind, chooser.target.share
    trained = trained_names(trainer, session.model)
    frozen = frozenset(plain(name) for name, _ in session.model.named_parameters() if name not in trained)
    part = _share(chooser, frozen) if kind in _COSTS else 0.0
    if not part:
        return ""
    rest = _home(plain(name) for name in trained_names(trainer, pl_module))
    alone = f", or prune the rest alone, of which the target then is: module={rest!r}" if rest != session.module else ""
    return (
        f"{part:.0%} of the {_COSTS[kind]} belong to parameters that are frozen or in no optimizer, and stay. Train "
        f"them, or ask for {share:g} of the rest: {kind}={part + (1 - part) * share:.3g}{alone if rest else ''}"
    )


def _share(chooser: Chooser, names: Collection[str]) -> float:
    """The share of a cost that belongs to some parameters."""
    trace, kind = chooser.trace, chooser.target.kind
    calls = tuple(call for call in trace.calls if call.weight in names)
    part = CostModel(replace(trace, calls=calls, fixed_macs=0, parameters=trace.parameters & frozenset(names)))
    return float(getattr(part.dense, kind) / getattr(chooser.cost_model.dense, kind))


def _home(names: Iterable[str]) -> str:
    """The path of the smallest module that all tensors of some names lie in."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return ".".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, levels))
