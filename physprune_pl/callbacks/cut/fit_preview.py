"""What a fit would do, told before it is paid for."""

from __future__ import annotations

from typing import Any

from torch import nn

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.networks.example import ExampleInput
from physprune_pl.preview import preview
from physprune_pl.targets.target import Target


def preview_of_fit(
    model: nn.Module,
    session: PruningSession,
    target: Target,
    finetune_epochs: int,
    example_input: ExampleInput | None,
) -> str:
    """Return the preview of the network that a fit would prune, and what each phase will do.

    Raises:
        ValueError: there is no example input, or nothing can be pruned.
    """
    network = resolve_module(model, session.module) if is_a(model, "LightningModule") else model
    options: dict[str, Any] = {name: getattr(session, name) for name in ("widths", "ignore", "strength", "stopwatch")}
    found = preview(network, _example(model, session, example_input), target, **options)
    return f"{found}\n\n{_phases(target, finetune_epochs)}"


def _example(model: nn.Module, session: PruningSession, given: ExampleInput | None) -> ExampleInput:
    candidates = (given, session.given_input, getattr(model, "example_input_array", None))
    found: ExampleInput | None = next((one for one in candidates if one is not None), None)
    if found is None:
        raise ValueError("example_input: expected one, as the model has no example_input_array; got None")
    return found


def _phases(target: Target, finetune_epochs: int) -> str:
    after = f"{finetune_epochs} epochs of fine-tuning" if finetune_epochs else "nothing more"
    return "\n".join(
        (
            "Phase sparsify: max_epochs of the trainer; it ends with a dense checkpoint.",
            f"Cut: {target.kind} {target.share:g}, then one validation.",
            f"Phase finetune: {after}.",
        )
    )
