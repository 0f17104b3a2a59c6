"""What a fit would do, told before it is paid for."""

from __future__ import annotations

from torch import nn

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.kinds import is_a
from physprune_pl.callbacks.trainer.resolve import resolve_module
from physprune_pl.networks.example import ExampleInput
from physprune_pl.planning import measured_chooser
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.structure import Trace
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace


def preview(
    model: nn.Module,
    session: PruningSession,
    target: Target,
    finetune_epochs: int,
    widths: Widths,
    example_input: ExampleInput | None,
) -> str:
    """Trace a network and say which groups there are, whether the target is in reach, and what each phase will do.

    Raises:
        ValueError: there is no example input, or nothing can be pruned.
    """
    network = resolve_module(model, session.module) if is_a(model, "LightningModule") else model
    example = example_input if example_input is not None else session.given_input
    example = getattr(model, "example_input_array", None) if example is None else example
    if example is None:
        raise ValueError("example_input: expected one, as the model has no example_input_array; got None")
    traced = trace(network, example, session.ignore)
    reach = _reach(network, example, traced, session, target, widths)
    return "\n".join([*_structure(traced), reach, *_phases(target, finetune_epochs)])


def _structure(traced: Trace) -> list[str]:
    lines = [
        f"{len(traced.groups)} groups, {len(traced.left_whole)} modules left whole, {traced.seconds:.1f} s to trace."
    ]
    lines += [f"  {group.name}: {group.size} channels{'' if group.exact else ', inexact'}" for group in traced.groups]
    return lines + [f"  {part.name} is left whole: {part.reason}" for part in traced.left_whole]


def _reach(
    network: nn.Module, example: ExampleInput, traced: Trace, session: PruningSession, target: Target, widths: Widths
) -> str:
    penalty = Penalty(traced.groups, dict(network.named_parameters()), session.strength)
    strengths = penalty.strengths()
    try:
        chooser = measured_chooser(network, example, traced, target, widths, session.strength, session.stopwatch)
        removed = chooser.choose([strengths[segment] for segment in penalty.segments])
    except TargetError as error:
        return f"Out of reach: {error}"
    dense, pruned = chooser.cost_model.dense, chooser.cost_model(removed)
    time = f", latency {pruned.latency / dense.latency:.1%}" if dense.latency else ""
    return (
        f"In reach, with the weights of now: MACs {dense.macs} -> {pruned.macs} ({pruned.macs / dense.macs:.1%}), "
        f"parameters {dense.params} -> {pruned.params} ({pruned.params / dense.params:.1%}){time}."
    )


def _phases(target: Target, finetune_epochs: int) -> list[str]:
    after = f"{finetune_epochs} epochs of fine-tuning" if finetune_epochs else "nothing more"
    return [
        "Phase sparsify: max_epochs of the trainer; it ends with a dense checkpoint.",
        f"Cut: {target.kind} {target.share:g}, then one validation.",
        f"Phase finetune: {after}.",
    ]
