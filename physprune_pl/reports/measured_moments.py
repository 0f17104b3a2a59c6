"""The moments of a fit that a report has the metric of, and what it was worth there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PHASES = {
    "dense": "dense baseline",
    "after_sparsify": "after the sparsify phase",
    "after_cut": "right after the cut",
    "after_recalibration": "recalibrated after the cut",
    "after_finetune": "after fine-tuning",
}
"""Key of ``metric`` in a report -> the moment in words, in the order of a fit."""


def measured(metric: Mapping[str, Any]) -> dict[str, float]:
    """Return the moments that were measured, in the order of a fit.

    >>> measured({"name": "val_acc", "after_cut": 0.75, "dense": 0.5, "after_finetune": None})
    {'dense': 0.5, 'after_cut': 0.75}
    """
    values = {phase: metric.get(phase) for phase in PHASES}
    return {phase: float(value) for phase, value in values.items() if isinstance(value, int | float)}


def before_and_after(metric: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the moments to compare: the dense baseline, else the sparsified network, and the last one measured.

    >>> before_and_after({"after_sparsify": 0.5, "after_cut": 0.25}), before_and_after({"dense": 0.5})
    (('after_sparsify', 'after_cut'), (None, 'dense'))
    """
    found = measured(metric)
    last = next(reversed(found), None)
    return next((phase for phase in ("dense", "after_sparsify") if phase in found and phase != last), None), last
