"""What the callbacks of one fit share: the traced network, its groups, their penalty, and the phase of the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from physprune_pl.callbacks.session import choosing
from physprune_pl.callbacks.session.example_source import ExampleSource
from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.phase import PhaseLength, Wave
from physprune_pl.callbacks.session.record import Phase, Record
from physprune_pl.callbacks.session.step_watch import StepWatch
from physprune_pl.callbacks.session.trained_parameters import thawed, unpressed_groups, unreached
from physprune_pl.callbacks.trainer.fit_folder import FitFolder
from physprune_pl.callbacks.trainer.next_step import Step
from physprune_pl.callbacks.trainer.precision import plain_forward
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.callbacks.trainer.refusals import check_strategy
from physprune_pl.latency import Stopwatch
from physprune_pl.networks.example import Example, ExampleInput
from physprune_pl.networks.ignored import Ignore, Ignored
from physprune_pl.planning import measured_chooser
from physprune_pl.pressing.group_law import GroupLaw
from physprune_pl.pressing.importance import Importance
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.selections import ByStrength, Selection, resolve_selection
from physprune_pl.strengths import L2, Strength, resolve_strength
from physprune_pl.structure import ChannelGroup, Reasons, Trace, without
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.surgery.regroup import follow_groups, gone_channels, kept_channels
from physprune_pl.surgery.regrow import dense_twin
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.same_width import tied
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace


class PruningSession:
    """Traces once per fit, for whichever callback comes first; every other one finds the result here.

    Args:
        module: name of the submodule to prune; None for the LightningModule itself, or its only child with
            parameters when it defines no ``forward``.
        example_input: what the network is called with: a tensor, a tuple of positional or a dict of keyword
            arguments. None: ``example_input_array`` of the LightningModule, else the first training batch.
        ignore: name, regular expression or object of modules not pruned, or several.
        strength: the norm of a channel, a name or an object; None means L2 over the whole group.
        target: what the cut must keep, when it is known beforehand; needed for steering.
        widths: how many channels a group may keep.
        select: the set to cut, see :mod:`physprune_pl.selections`; None means ``"strength"``, the weakest channels.
        stopwatch: what times the network where the target or the widths need it.

    Attributes:
        record: what the fit has done so far, its phase and its plan among it.
        length: of the phase that runs.
        waves: parts of the sparsify phase that end with a removal each; empty where the phase is one.
        folder: where the fit leaves its files.
        arguments: what the callbacks that were built with the session want of it.
        law: force law, distance and pivot of the fit's :class:`ForceRegularization`; uniform without one.
        steered: whether a coefficient is steered; then :attr:`steering` is there while the network is traced.
        mean_coefficient: tells the coefficient of the moment, its mean over the groups; None without a force.
        excluded, waiting: groups that stay whole, with the reason: as a step showed; as long as nothing trains them.
        saved_steering: what a resume has restored of it, until it is built.
        coefficients: c of all channels as the law gave them last, shape [N], or None.
        importance: reads the gradients of steps, where :attr:`select` judges by them, until the network is cut.
        step_watch: what watches steps for what the trace has not seen.
        source, roles: where the example input comes from; what the callbacks are that were built with the session.
    """

    def __init__(
        self,
        module: str | None = None,
        example_input: ExampleInput | None = None,
        ignore: Ignore | Ignored = (),
        strength: str | Strength | None = None,
        *,
        target: Target | None = None,
        widths: Widths | None = None,
        select: str | Selection | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        norm = None if strength is None else resolve_strength(strength)
        by = None if select is None else resolve_selection(select)
        chosen = (Ignored.of(ignore), norm, target, widths or Widths(), by, stopwatch)
        self.arguments = FitArguments(module, example_input, *chosen)
        self.law, self.steered, self.roles = GroupLaw(), False, set[str]()
        self.source = ExampleSource(None, None)
        self.mean_coefficient: Callable[[Trainer], float] | None = None
        self.saved_steering: dict[str, Any] | None = None
        self.record, self.folder, self.length, self.waves = Record(), FitFolder(), PhaseLength(), tuple[Wave, ...]()
        self.excluded, self.waiting, self.step_watch = dict[str, str](), dict[str, str](), StepWatch()
        self.adopt(self.arguments)

    def ask(self, arguments: FitArguments) -> None:
        """Add what one more callback wants, for good.

        Raises:
            ValueError: it contradicts what another one wants.
        """
        self.arguments = self.arguments.merged(arguments)
        self.adopt(self.arguments)

    def adopt(self, arguments: FitArguments) -> None:
        """Do for the next fit what other arguments say than :attr:`arguments`."""
        self.module, self.given_input, self.ignore = arguments.module, arguments.example_input, arguments.ignore
        self.target, self.widths, self.select = arguments.target, arguments.widths, arguments.select or ByStrength()
        self.strength, self.stopwatch = arguments.strength or L2(), arguments.stopwatch or Stopwatch()
        self.release()

    def release(self) -> None:
        """Drop every reference into the model; the next fit traces again."""
        self._model: nn.Module | None = None
        self._whole: Trace | None = None
        self._trace: Trace | None = None
        self._penalty: Penalty | None = None
        self.example_input: Example | ExampleInput | None = None
        self.chooser: Chooser | None = None
        self.steering: Steering | None = None
        self.groups: tuple[ChannelGroup, ...] = ()
        self.tensors: dict[str, nn.Parameter] = {}
        self.coefficients: Tensor | None = None
        self.importance: Importance | None = None
        self.source.end_step()
        self.source = ExampleSource(self.module, self.given_input)
        self._known: choosing.Known = (self.widths, None)
        self._trainable: tuple[nn.Parameter, ...] = ()
        self.step_watch.leave()
        self.step_watch = StepWatch()

    @property
    def phase(self) -> Phase:
        """``"sparsify"`` until the network is cut, then ``"finetune"``."""
        return self.record.phase

    @property
    def plan(self) -> PruningPlan | None:
        """What was cut; it speaks of :attr:`model`, not of the LightningModule around it. None before the cut."""
        return self.record.plan

    @property
    def ready(self) -> bool:
        """Whether the network is traced."""
        return self._penalty is not None

    @property
    def wave(self) -> Wave | None:
        """The part of the sparsify phase that runs, the whole phase where it has no parts; None once all are over."""
        return next(iter((self.waves or (Wave(self.length, self.target),))[self.record.waves :]), None)

    @property
    def presses(self) -> bool:
        """Whether the network is traced, and some channels are still to be removed."""
        return self.ready and self.phase == "sparsify" and self.wave is not None

    @property
    def model(self) -> nn.Module:
        """The traced network; a RuntimeError before :meth:`prepare`."""
        return choosing.known(self._model)

    @property
    def trace(self) -> Trace:
        """Its trace, as it was before any cut: channels and indices are those of the dense network."""
        return choosing.known(self._trace)

    @property
    def penalty(self) -> Penalty:
        """The penalty over :attr:`groups`, with weights as they are now: what was cut has strength 0."""
        return choosing.known(self._penalty)

    def begin(self, trainer: Trainer) -> None:
        """Start afresh in ``setup`` of a fit, before a checkpoint is restored, and note how long the first phase is.

        Every callback of the fit calls it.

        Raises:
            NotImplementedError: for strategies that shard parameters.
        """
        check_strategy(trainer.strategy)
        self.release()  # a fit that ended in an exception was never torn down
        self.record, self.folder, self.excluded, self.waiting = Record(), FitFolder(), {}, {}
        self.saved_steering = None
        self.length, self.waves = PhaseLength.of_trainer(trainer), ()

    def prepare(self, trainer: Trainer, pl_module: LightningModule, step: Step | None = None) -> bool:
        """Trace the network unless that is done; return whether it is.

        Without an example input this waits for a training batch.

        Raises:
            ValueError: when the network, its input or a group of channels to remove cannot be found.
        """
        if self.ready:
            return True
        # Names that stand for nothing are refused before the first step.
        ignored = self.ignore.by_name(network := resolve_module(pl_module, self.module))
        found = self.source.find(trainer, pl_module, step)
        if found is None:
            return False
        self.example_input, self._model = found.example, network
        rank_zero_info(f"Tracing which channels of {type(self.model).__name__} belong together.")
        with plain_forward(trainer):
            dense = dense_twin(found.network, self.plan)
            # The steps of several processes may take different branches, and their groups must be the same.
            traced = tied(dense, trace(dense, self.example_input, ignored), self.widths)
            self._whole = trainer.strategy.broadcast(traced)
        self.waiting = {**self._unpressed(trainer), **self.waiting}
        self._leave_whole()
        rank_zero_info(self.trace.summary())
        self.step_watch = StepWatch(unreached(trainer, pl_module, self.model, self.trace))
        if self.trace.groups and self.target is not None and self.phase == "sparsify":
            asked = partial(measured_chooser, dense, self.example_input, self.trace, self.target, self.widths)
            self._known = choosing.asked_of_device(trainer, partial(asked, self.strength, self.stopwatch), self.widths)
        self._start()
        if self.steering is not None and self.saved_steering is not None:
            self.steering.load_state_dict(self.saved_steering)
            self.saved_steering = None
        return True

    def steering_state(self) -> dict[str, Any] | None:
        """Return the state of steering for a checkpoint: what a resume has restored, as long as nothing is steered."""
        return self.saved_steering if self.steering is None else self.steering.state_dict()

    def _leave_whole(self) -> None:
        """Trace without the groups that stay whole; those that have lost channels are pruned already."""
        cut = () if self.plan is None else kept_channels(self.plan)
        reasons = {name: reason for name, reason in {**self.waiting, **self.excluded}.items() if name not in cut}
        self._trace = without(choosing.known(self._whole), reasons)

    def _start(self) -> None:
        """Build everything that follows from the trace."""
        if not self.trace.groups:
            raise ValueError(choosing.nothing_to_prune(self.model, self.trace))
        self.follow_plan()

    def exclude(self, reasons: Mapping[str, str]) -> None:
        """Leave groups whole, given group -> reason; steering starts anew without them."""
        self.excluded = {**self.excluded, **reasons}
        if self.ready and any(group.name in reasons for group in self.trace.groups):
            self._leave_whole()
            self._start()

    def follow_plan(self) -> None:
        """Go on with the network as the plan of the record has left it."""
        self.groups = self.trace.groups if self.plan is None else follow_groups(self.trace.groups, self.plan)
        self.tensors = dict(self.model.named_parameters(remove_duplicate=False))
        self._penalty = Penalty(self.groups, self.tensors, self.strength)
        self.coefficients = self.importance = None
        if self.target is None or self.phase != "sparsify":
            return
        self.importance = choosing.importance_of(self.select, self.record, self.groups, self.tensors)
        widths, times = self._known
        gone = gone_channels(self.trace.groups, self.plan)
        self.chooser = Chooser(self.trace, self.target, widths, times=times, gone=gone)
        over, whole = self.record.waves, Wave(self.length, self.target)
        self.waves = choosing.waves_to_come(self.waves, self.record, whole, self.chooser)
        self.saved_steering = self.saved_steering if self.record.waves == over else None  # of a wave that is none here
        if self.steered:
            self.steering = choosing.steering_of(self.wave, self.chooser, self.penalty, self.select, self.record)

    def enter_finetuning(self, length: PhaseLength) -> None:
        """Enter the fine-tuning phase with a network that was cut by the plan of the record, now or before a resume."""
        self.record.phase, self.length = "finetune", length
        if self.ready:
            self.follow_plan()

    def progress(self, trainer: Trainer) -> float:
        """Return the share in [0, 1] of the phase that is over."""
        return self.length.progress(trainer)

    def progress_of_wave(self, trainer: Trainer) -> float:
        """Return the share in [0, 1] of :attr:`wave` that is over."""
        return 1.0 if self.wave is None else self.wave.length.progress(trainer)

    def note_trainable(self, trainer: Trainer) -> None:
        """Remember which parameters are trainable, at the start of an epoch; take in groups that train by now."""
        self._trainable = tuple(parameter for parameter in self.tensors.values() if parameter.requires_grad)
        if not self.waiting or not self.ready or self.phase != "sparsify":
            return
        unpressed = self._unpressed(trainer)
        if trained := [name for name in self.waiting if name not in unpressed]:
            rank_zero_info(f"{', '.join(trained)} train from now on, and may lose channels.")
            self.waiting = dict(unpressed)
            self._leave_whole()
            self._start()

    def _unpressed(self, trainer: Trainer) -> Reasons:
        return unpressed_groups(trainer, self.model, choosing.known(self._whole).groups) if self.steered else {}

    def trainable(self) -> AbstractContextManager[None]:
        """Undo, for the moment, what ``toggle_optimizer`` does: a parameter that waits its turn is not frozen."""
        return thawed(self._trainable)
