"""The moment of a cut inside a fit: the plan, the surgery itself, and the checks after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from physprune_pl.callbacks.cut.averages import cut_averages
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import set_training, twin, untouched
from physprune_pl.networks.measure import count_parameters
from physprune_pl.networks.names import plain, uncompiled
from physprune_pl.networks.nested import tensors_in
from physprune_pl.planning import plan_removal
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.apply import cut as cut_in_place
from physprune_pl.surgery.last_groups import grouped_layers, left_with_one
from physprune_pl.surgery.plan import PruningPlan, make_plan
from physprune_pl.surgery.regroup import shrink_trace
from physprune_pl.targets.chooser import Chooser


def remove(
    trainer: Trainer, pl_module: LightningModule, session: PruningSession, chooser: Chooser, removed: Sequence[Tensor]
) -> None:
    """Remove channels from the network of the session and its averaged copies, on all ranks alike, and check it.

    The plan of the session's record is of all that is gone by then.

    Args:
        trainer: of the fit.
        pl_module: that holds the network.
        session: of the fit.
        chooser: knows the dense network and what has gone already.
        removed: channels of the dense network that are gone afterwards, bool [K] per group.

    Raises:
        RuntimeError: the cut network has other parameters than planned, or does not run.
    """
    record = session.record
    record.prefix = prefix_of(pl_module, session.model)
    plan = plan_now(session, chooser, trainer.strategy.broadcast([mask.cpu() for mask in removed]))
    before, grouped = count_parameters(session.model), grouped_layers(session.model)
    if plan.tensors:
        with _unwrapped(trainer):
            apply_plan(session.model, plan, trainer.optimizers)
        cut_averages(trainer, pl_module, record.prefix, plan)
    fell, planned = before - count_parameters(session.model), plan.params[0] - plan.params[1]
    if fell != planned:
        raise RuntimeError(f"the cut removed {fell} parameters, {planned} were planned")
    with trainer.precision_plugin.forward_context():
        check_runs(session.model, session.example_input)
    plan = replace(plan, sizes={**plan.sizes, **left_with_one(grouped, session.model)})
    record.plan = plan if record.plan is None else record.plan.then(plan)


def plan_now(session: PruningSession, chooser: Chooser, removed: Sequence[Tensor]) -> PruningPlan:
    """Write the plan for the network as it is now that leaves the dense one without some channels, bool [K] a group."""
    # Shares of latency are the whole network's affair.
    plan = replace(plan_removal(chooser, removed), latency={})
    if session.plan is None or chooser.gone is None:
        return plan
    now = [mask.cpu()[~gone] for mask, gone in zip(removed, chooser.gone, strict=True)]
    macs, params = (session.plan.macs[1], plan.macs[1]), (session.plan.params[1], plan.params[1])
    return make_plan(shrink_trace(chooser.trace, session.plan), now, macs, params)


def rehearse(trainer: Trainer, session: PruningSession, chooser: Chooser, removed: Sequence[Tensor]) -> None:
    """Try a cut on a copy of the network in the middle of its training: what a fit would meet is met before it begins.

    Raises:
        RuntimeError: the network, or what is left of it, does not run; such as one that keeps what it computed in the
            step before.
    """
    copy = twin(session.model)
    with trainer.precision_plugin.forward_context(), _trial(copy):
        # As somebody may hold a loss.
        held = _outputs(copy, session.example_input)
        cut_in_place(copy, plan_now(session, chooser, removed))
        _outputs(copy, session.example_input)
    del held


def check_runs(model: nn.Module, example_input: Any) -> None:
    """Run the network forward and backward on the example input; buffers, modes and generators are put back.

    Raises:
        RuntimeError: it does not run.
    """
    copy = twin(model)
    with _trial(copy):
        _outputs(copy, example_input)


@contextmanager
def _trial(model: nn.Module) -> Iterator[None]:
    try:
        with untouched(model), set_training(model, True), torch.enable_grad():
            _freeze_statistics(model)
            yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise RuntimeError(f"the cut network does not run on the example input: {error}") from error


def _outputs(model: nn.Module, example_input: Any) -> list[Tensor]:
    """Run forward and backward; return what came out, with its graph."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    outputs = tensors_in(Example.of(example_input).copy().run(model))
    totals = [one.sum() for one in outputs if one.requires_grad]
    if totals and parameters:
        torch.autograd.grad(totals, parameters, allow_unused=True)
    return totals


def _freeze_statistics(model: nn.Module) -> None:
    """One sample has no variance: norms over the batch take their running statistics."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = False


@contextmanager
def _unwrapped(trainer: Trainer) -> Iterator[None]:
    """Take a distributed wrapper off and put a new one on: the old one keeps autograd nodes of the old shapes."""
    strategy: Any = trainer.strategy
    wrapped = strategy.model is not strategy.lightning_module and hasattr(strategy, "configure_ddp")
    if wrapped:
        strategy.model = strategy.lightning_module
        gc.collect()
    yield
    if wrapped:
        strategy.configure_ddp()


def prefix_of(pl_module: LightningModule, model: nn.Module) -> str:
    """What comes before the names of the network in the LightningModule, such as ``"net."``."""
    found = plain(next(name for name, module in pl_module.named_modules() if uncompiled(module) is model))
    return f"{found}." if found else ""


def summary(plan: PruningPlan, late: Sequence[str], dead: Sequence[str]) -> str:
    """What the cut did, in one line for the console."""
    macs, params = (f"{pruned / dense:.1%}" for dense, pruned in (plan.macs, plan.params))
    text = f"PruneAndFinetune: {macs} of the MACs and {params} of the parameters are left."
    if late:
        text += f" Not at zero before the cut: {', '.join(late)}."
    if dead:
        text += f" Every channel of {', '.join(dead)} is dead: consider removing the branch."
    return text
