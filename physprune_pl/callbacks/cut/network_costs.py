"""What the network of a fit weighs and how long it takes, before and after its cut."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import nn

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.precision import plain_forward
from physprune_pl.latency.race import measure_latency, without_remnants
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import run_eagerly, twin
from physprune_pl.networks.measure import file_bytes
from physprune_pl.planning import with_measured_latency
from physprune_pl.surgery.plan import PruningPlan

Latencies = dict[str, dict[str, float]]

BATCH_SIZES = (1, 32)
# Both networks together compute as much as a few steps of training: nobody waits for it, and medians are good enough.
ROUNDS, ROUND_SECONDS = 7, 0.002


def figures(
    trainer: Trainer, session: PruningSession, plan: PruningPlan, dense: nn.Module
) -> tuple[PruningPlan, Latencies, dict[str, int]]:
    """Measure the networks before and after a cut: what a latency target asks for, latencies, and sizes of files.

    The first process measures, on copies: training goes on as if nothing had been measured.

    Args:
        trainer: of the fit.
        session: with the network after the cut.
        plan: that was cut by.
        dense: the network before.

    Returns:
        The plan, with the figures of its latency if it has a target for that; milliseconds by batch size; bytes.
    """
    found: tuple[PruningPlan, Latencies, dict[str, int]] = plan, {}, {}
    if trainer.is_global_zero:
        models = {"dense": without_remnants(dense), "pruned": twin(session.model)}
        with plain_forward(trainer), run_eagerly():
            times = _latencies(models, Example.of(session.example_input))
            found = _with_latency(plan, models, session), times, {name: file_bytes(one) for name, one in models.items()}
    return trainer.strategy.broadcast(found)


def _with_latency(plan: PruningPlan, models: Mapping[str, nn.Module], session: PruningSession) -> PruningPlan:
    if not plan.latency:
        return plan
    return with_measured_latency(plan, models["dense"], models["pruned"], session.example_input, session.stopwatch)


def _latencies(models: Mapping[str, nn.Module], example: Example) -> Latencies:
    """Time both networks with the batch sizes of a report, or that of the example where it accepts no other."""
    found: Latencies = {}
    errors: dict[int, Exception] = {}
    for size in (example.batch,) if example.whole else BATCH_SIZES:
        try:
            found |= measure_latency(models, example, (size,), ROUNDS, ROUND_SECONDS)
        # The network is the user's own, and 32 samples may not fit into memory: that must not cost the fit.
        except Exception as error:
            errors[size] = error
    for size, why in errors.items():
        rank_zero_warn(f"the report has no latency with {size} samples: {type(why).__name__}: {why}")
    return found
