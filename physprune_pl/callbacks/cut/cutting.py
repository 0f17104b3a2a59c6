"""The moment of the cut inside a fit: what is removed, the surgery itself, and the checks after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from physprune_pl.callbacks.cut.network_costs import figures
from physprune_pl.callbacks.cut.reach import with_reasons
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.internals import first_batch
from physprune_pl.callbacks.trainer.next_step import step_of
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import set_training, twin, untouched
from physprune_pl.networks.measure import count_parameters
from physprune_pl.networks.names import plain, uncompiled
from physprune_pl.networks.nested import tensors_in
from physprune_pl.planning import plan_removal
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.apply import cut as cut_in_place
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import TargetError

# A group whose strongest channel is below this share of the strongest of all does nothing.
DEAD = 1e-6


def choose(session: PruningSession, chooser: Chooser, steering: Steering | None) -> list[Tensor]:
    """Channels to remove, bool [K] per group: the set that steering pressed, else what the target asks of strengths."""
    if steering is not None and bool(steering.chosen.any()):
        return steering.removed()
    strengths = strengths_of(session)
    return chooser.choose([strengths[segment] for segment in session.penalty.segments])


def strengths_of(session: PruningSession) -> Tensor:
    """Strength of every channel, shape [N], frozen parameters included: what cannot be pressed is not worthless."""
    if all(parameter.requires_grad for parameter in session.tensors.values()):
        return session.penalty.strengths()
    thawed = {name: parameter.detach().requires_grad_() for name, parameter in session.tensors.items()}
    return Penalty(session.groups, thawed, session.strength).strengths()


def not_arrived(session: PruningSession, steering: Steering | None, removed: Sequence[Tensor]) -> list[str]:
    """Names of the groups of which steering could not bring to zero what is removed; all where it never pressed."""
    if steering is None:
        return []
    if not bool(steering.chosen.any()):
        return [group.name for group, mask in zip(session.groups, removed, strict=True) if bool(mask.any())]
    return [one.group for one in steering.arrivals(session.penalty.strengths()) if not one.arrived]


def dead_groups(session: PruningSession) -> list[str]:
    """Names of the groups of which no channel does anything any more: the whole branch could go by hand."""
    strengths = strengths_of(session)
    peaks = torch.stack([strengths[segment].max() for segment in session.penalty.segments])
    dead = (peaks <= DEAD * peaks.max()).tolist()
    return [group.name for group, gone in zip(session.groups, dead, strict=True) if gone]


def cut(
    trainer: Trainer, pl_module: LightningModule, session: PruningSession, chooser: Chooser, removed: Sequence[Tensor]
) -> PruningPlan:
    """Cut the network of the session on all ranks alike, check it, and note plan and figures in the session's record.

    Raises:
        RuntimeError: the cut network has other parameters than planned, or does not run.
    """
    record = session.record
    record.dead_groups, record.prefix = dead_groups(session), prefix_of(pl_module, session.model)
    agreed = trainer.strategy.broadcast([mask.cpu() for mask in removed])
    plan = plan_removal(chooser, agreed)
    before, dense = count_parameters(session.model), twin(session.model)
    with _unwrapped(trainer):
        apply_plan(session.model, plan, trainer.optimizers)
    fell, planned = before - count_parameters(session.model), plan.params[0] - plan.params[1]
    if fell != planned:
        raise RuntimeError(f"the cut removed {fell} parameters, {planned} were planned")
    with trainer.precision_plugin.forward_context():
        check_runs(session.model, session.example_input)
    record.finish("cut")
    record.plan, record.latency_ms, record.file_bytes = figures(trainer, session, plan, dense)
    record.finish("timing")
    return record.plan


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
        cut_in_place(copy, plan_removal(chooser, removed))
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


class Aim:
    """Finds out which channels go so that the target is met."""

    def __init__(self, session: PruningSession) -> None:
        self._session, self._tried = session, False

    @property
    def known(self) -> bool:
        """Whether the network is traced, by whichever callback, and a cut of it was tried."""
        return self._session.ready and self._tried

    def find_chooser(
        self, trainer: Trainer, pl_module: LightningModule, record: Record, step: Any = None
    ) -> Chooser | None:
        """Trace, and choose once so that a target out of reach is known now; None as long as there is no input."""
        session = self._session
        if not session.prepare(trainer, pl_module, step) or session.chooser is None:
            return None
        # Always the session's: a step may show that groups must stay whole.
        chooser = session.chooser
        if not self._tried:
            self._tried = True
            record.seconds["trace"] = session.trace.seconds
            rehearse(trainer, session, chooser, self._in_reach(trainer, pl_module, chooser))
        return chooser

    def _in_reach(self, trainer: Trainer, pl_module: LightningModule, chooser: Chooser) -> list[Tensor]:
        """Choose by the strengths of now; where the target is out of reach say what nothing trains."""
        try:
            return choose(self._session, chooser, None)
        except TargetError as error:
            raise with_reasons(error, trainer, pl_module, self._session, chooser) from error

    def need_chooser(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> Chooser:
        """Trace with a batch drawn for that where no step was run and none will be."""
        chooser = self.find_chooser(trainer, pl_module, record)
        if chooser is None:
            chooser = self.find_chooser(trainer, pl_module, record, step_of(trainer, first_batch(trainer), 0))
        if chooser is None:
            raise RuntimeError(
                f"training_step of {type(pl_module).__name__} computed no loss: there is nothing to trace"
            )
        return chooser

    def choose(self, chooser: Chooser, record: Record) -> list[Tensor]:
        """Channels to remove, bool [K] per group on the CPU; groups that did not arrive are noted."""
        steering = self._session.steering
        removed = [mask.cpu() for mask in choose(self._session, chooser, steering)]
        record.not_arrived = not_arrived(self._session, steering, removed)
        return removed
