"""Presses the channels of every group while the network trains, by writing the penalty's gradient into ``.grad``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.callbacks.session.after_step import AfterStep, Asked
from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.force_checks import (
    Coefficient,
    check_aim,
    check_length,
    checked_coefficient,
    warn_unpaid,
)
from physprune_pl.callbacks.session.progress_bar import show_progress
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import share
from physprune_pl.callbacks.session.watching_callback import WatchingCallback
from physprune_pl.callbacks.trainer.injection import (
    check_optimizers,
    effective_rate,
    follows_gradients,
    held_ids,
    logs_now,
    loss_scale,
    scale_at_step,
)
from physprune_pl.callbacks.trainer.next_step import step_of
from physprune_pl.distances import Distance, Pivot
from physprune_pl.forces import Force
from physprune_pl.networks.example import ExampleInput
from physprune_pl.networks.ignored import Ignore, Ignored
from physprune_pl.pressing.group_coefficients import GroupCoefficients
from physprune_pl.pressing.group_law import GroupLaw
from physprune_pl.schedules import Schedule, resolve_schedule
from physprune_pl.strengths import Strength, resolve_strength
from physprune_pl.targets.widths import Shares, Widths

# Whether the coefficients are finite is read back from the device once in so many steps.
CHECK_EVERY = 50


class ForceRegularization(WatchingCallback):
    r"""Adds the gradient of a force penalty to the gradient of the loss, once per optimizer step.

    .. math:: penalty = coefficient \cdot schedule(progress) \cdot \sum_g \sum_{k \in g} c_k s_k

    with the strengths s_k of the channels of every group g and the coefficients c_k of the force law held fixed. The
    loss is never touched: the gradient is written into ``.grad`` before the first backward of an optimizer step
    (manual optimization: before the step itself, for the parameters of the optimizer that steps). Gradient
    accumulation and loss scaling leave it as it is; gradient clipping comes later and clips the sum. With coefficient
    0, and before the start of a schedule, training is bit for bit what it is without the callback.

    The progress bar shows how far the phase and the channels are, see
    :func:`~physprune_pl.callbacks.session.progress_bar.signals`.

    A steered penalty presses otherwise where a gradient is no way to press, see
    :class:`~physprune_pl.pressing.steering.Steering`: under optimizers that rescale gradients (Adam and its kin) it
    scales the weights right after the optimizer's step, by just as much. So it does for steps that the Trainer knows
    nothing of, in manual optimization, such as those of SAM.

    Args:
        force: name of a force law, a :class:`~physprune_pl.forces.ForceLaw`, or a function of
            :class:`~physprune_pl.channels.Channels`.
        coefficient: pressure of the penalty, or ``"auto"``: steered until the target of the trainer's
            :class:`PruneAndFinetune` is met.
        schedule: factor of the coefficient over the sparsify phase: a name, an object or a function of progress. With
            ``"auto"`` it is a factor of what steering sets.
        strength: norm of a channel; None means ``L2(scope="group")``.
        distance: distance of a channel from the pivot; None means the one that the law is meant for.
        pivot: channel to measure from: an index, ``"first"``, ``"middle"`` or ``"strongest"``.
        module: name of the submodule to press; see :class:`~physprune_pl.callbacks.session.session.PruningSession`.
        example_input: input to trace the network with; None: ``example_input_array``, else the first training batch.
        ignore: name, regular expression or object of modules left alone, or several.
        session: state shared with other callbacks; None shares it with the :class:`PruneAndFinetune` of the trainer
            that cuts this network, whose arguments and these then hold for both.
        min_share, max_share: as of that :class:`PruneAndFinetune`.

    Raises:
        TypeError: for an argument of another kind.
        ValueError: for an unknown name, a coefficient that is negative or not finite, ``"auto"`` without a target;
            at the start of training for arguments that contradict those of :class:`PruneAndFinetune`, a frozen network,
            LBFGS, no group, or a pivot outside a group; during training when the law returns a number that is not
            finite.

    Source: the four papers cited in :mod:`physprune_pl.forces`; the injection is ours.

    >>> callback = ForceRegularization("gravity", coefficient=1e-3, schedule="cubic", pivot="middle")
    >>> callback.law
    GroupLaw(force=Gravity(normalize=True, orientation='far'), distance=IndexDistance(), pivot='middle')
    """

    role = "force"

    def __init__(
        self,
        force: str | Force,
        coefficient: Coefficient,
        schedule: str | Schedule | Callable[[float], float] | None = None,
        strength: str | Strength | None = None,
        distance: str | Distance | None = None,
        pivot: Pivot = 0,
        module: str | None = None,
        example_input: ExampleInput | None = None,
        ignore: Ignore = (),
        session: PruningSession | None = None,
        *,
        min_share: Shares | None = None,
        max_share: Shares | None = None,
    ) -> None:
        widths = Widths(min_share=min_share or {}, max_share=max_share or {})
        norm = None if strength is None else resolve_strength(strength)
        super().__init__(session, FitArguments(module, example_input, Ignored.of(ignore), norm, widths=widths))
        self.law = GroupLaw.resolve(force, distance, pivot)
        self.schedule = resolve_schedule(schedule)
        self.coefficient = checked_coefficient(coefficient)
        check_aim(self.session, self.coefficient)
        self.session.law, self.session.steered = self.law, coefficient == "auto"
        self.session.mean_coefficient = self._mean_coefficient
        self.steps = 0
        self._owed = True
        self._after_step = AfterStep(self.session, self._press_past_trainer)
        self._coefficients: GroupCoefficients | None = None

    @property
    def state_key(self) -> str:
        """Key of the state in checkpoints: several networks of one module may be pressed, each by its own law."""
        return self._generate_state_key(module=self.session.module)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Start afresh; a checkpoint is restored later."""
        share(trainer, stage == "fit")
        if stage == "fit":
            check_aim(self.session, self.coefficient, alone=self.session.target is None)
            self.session.begin(trainer)
            self.steps = 0
            self._after_step.copies.clear()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check what can be checked before training, and trace if the example input is known."""
        check_optimizers(trainer)
        check_length(trainer, self.session, self.coefficient, self.schedule)
        if not any(parameter.requires_grad for parameter in pl_module.parameters()):
            raise ValueError(f"every parameter of {type(pl_module).__name__} is frozen: a force has nothing to press")
        # The trainer has just cleared all gradients, those of an unfinished accumulation window included.
        self._owed = True
        self._prepare(trainer, pl_module)
        self._after_step.enter(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Look again at which parameters are trainable."""
        self.session.note_trainable(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say if nothing has ever been pressed."""
        if self.steps == 0 and self.session.presses and self._factor(trainer) != 0:
            warn_unpaid(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Trace with the first batch when there was no other example input."""
        if not self.session.ready:
            self._prepare(trainer, pl_module, step_of(trainer, batch, batch_idx))
        if self.session.phase == "sparsify":
            show_progress(trainer, pl_module, self.session)
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def _prepare(self, trainer: Trainer, pl_module: LightningModule, step: Any = None) -> None:
        if self.session.phase != "sparsify" or not self.session.prepare(trainer, pl_module, step):
            return
        self.law.check(self.session.groups)
        self.session.note_trainable(trainer)

    def on_before_zero_grad(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:  # noqa: ARG002
        """Note that a new accumulation window begins: it owes one penalty, whichever batch is the first to pay."""
        self._owed = True

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Pay the penalty's gradient before the first backward of the window."""
        super().on_before_backward(trainer, pl_module, loss)
        if pl_module.automatic_optimization and self._owed:
            self._owed = False
            scale = loss_scale(trainer, loss.device)
            self._press(trainer, pl_module, trainer.optimizers, scale)
            self._set_penalty_aside(trainer, scale)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Scale weights where the gradient is no way to press; in manual optimization, pay for this optimizer."""
        super().on_before_optimizer_step(trainer, pl_module, optimizer)
        self._after_step.announce(optimizer)
        if not pl_module.automatic_optimization and self._presses(optimizer):
            self._press(trainer, pl_module, [optimizer], scale_at_step(trainer, pl_module.device, optimizer))
        self._after_step.settle_unseen(optimizer)

    def _presses(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer holds anything of the network: that of another network is none of our business."""
        return not {id(parameter) for parameter in self.session.tensors.values()}.isdisjoint(held_ids([optimizer]))

    def _press_past_trainer(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Press for a step of which the trainer knows nothing, if its gradients are there."""
        gradients = any(one.grad is not None for group in optimizer.param_groups for one in group["params"])
        if self._presses(optimizer) and (gradients or self.session.steering is not None):
            self._note_gradients(optimizer)
            self._press(trainer, pl_module, [optimizer], 1.0, by_gradient=self.session.steering is None)

    def _press(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        optimizers: Sequence[Optimizer],
        scale: Tensor | float,
        *,
        by_gradient: bool | None = None,
    ) -> None:
        if not self.session.presses:
            self._coefficients = None  # It holds the penalty of the network as it was before the cut.
            self._after_step.leave()
            return
        if (factor := self._factor(trainer)) == 0:
            return
        penalty, steering = self.session.penalty, self.session.steering
        if by_gradient is None:
            by_gradient = steering is None or follows_gradients(optimizers[0], penalty.strength)
        with self.session.trainable():
            strengths = penalty.strengths()
            law = self.session.coefficients = self._law(trainer, strengths)
            if steering is not None:
                steering.update(self.session.progress_of_wave(trainer), effective_rate(optimizers), strengths, law)
                self._after_step.ask(Asked.of_steering(steering, factor, strengths, law, by_gradient))
            pressure = factor * (law if steering is None else steering.pressure(strengths, law))
            if by_gradient:
                penalty.add_gradient(pressure, scale, held_ids(optimizers), strengths=strengths)
        if logs_now(trainer, pl_module):
            pl_module.log_dict(self._signals(pressure, strengths), batch_size=1)
        self.steps += 1

    def _signals(self, pressure: Tensor, strengths: Tensor) -> dict[str, Any]:
        """Return what is logged: the penalty, and how far steering has come."""
        signals: dict[str, Any] = {"physprune/penalty": (pressure * strengths).sum()}
        if (steering := self.session.steering) is not None:
            signals["physprune/steering/remaining"] = float(steering.remaining.mean())
            signals["physprune/steering/coefficient"] = float(steering.coefficients().mean())
        return signals

    def _factor(self, trainer: Trainer) -> float:
        base = 1.0 if self.coefficient == "auto" else self.coefficient
        presses = base and self.session.wave is not None
        return base * self.schedule(self.session.progress_of_wave(trainer)) if presses else 0.0

    def _mean_coefficient(self, trainer: Trainer) -> float:
        mean = 1.0 if (steering := self.session.steering) is None else float(steering.coefficients().mean())
        return self._factor(trainer) * mean

    def _law(self, trainer: Trainer, strengths: Tensor) -> Tensor:
        penalty = self.session.penalty
        if self._coefficients is None or self._coefficients.penalty is not penalty:
            self._coefficients = GroupCoefficients(self.law, self.session.groups, penalty)
        try:
            return self._coefficients(strengths, check=self.steps % CHECK_EVERY == 0)
        except ValueError as error:
            where = f"epoch {trainer.current_epoch}, optimizer step {trainer.global_step}"
            raise ValueError(f"{error} ({where})") from error

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps pressed and the state of steering."""
        left = {"excluded": dict(self.session.excluded), "waiting": dict(self.session.waiting)}
        return {
            "steps": self.steps,
            "steering": self.session.steering_state(),
            "copies": dict(self._after_step.copies),
            **left,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore both; steering itself is built later, when the network is traced."""
        self.steps, self.session.saved_steering = state_dict["steps"], state_dict["steering"]
        self.session.excluded = dict(state_dict["excluded"])
        # Files of version 0.1.0 have none.
        self.session.waiting = dict(state_dict.get("waiting", {}))
        self._after_step.copies.update(state_dict.get("copies", {}))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Keep what a later checkpoint needs, before the first callback of the session drops it."""
        self.session.saved_steering = self.session.steering_state()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the optimizers alone."""
        super().on_exception(trainer, pl_module, exception)
        self._after_step.leave()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Drop every reference into the model."""
        self._coefficients = None
        self._after_step.leave()
        self.session.release()
