"""Distillation: after the cut the dense network teaches what is left of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import SessionCallback, share
from physprune_pl.callbacks.trainer.monitors import find_monitor
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.callbacks.trainer.quiet_validation import fresh_metrics
from physprune_pl.networks.isolation import saved_random_state

Call = tuple[tuple[Any, ...], dict[str, Any], Any]
DistillationLoss = Callable[[Any, Any], Tensor]


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    r"""Return how far the student's classes are from the teacher's, mean over everything but the classes.

    .. math:: T^2 \cdot KL(softmax(teacher / T) \,\|\, softmax(student / T))

    Args:
        student: scores of the classes, shape [B, classes, ...].
        teacher: likewise.
        temperature: T, above 0; the higher, the more the unlikely classes count.

    Raises:
        TypeError: when they are not tensors.
        ValueError: for scores of less than two dimensions or of two shapes, or a temperature of 0 or less.

    Source: G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, arXiv:1503.02531.

    >>> scores = torch.tensor([[2.0, 1.0, -1.0]])
    >>> float(soft_cross_entropy(scores, scores))
    0.0
    """
    for name, scores in (("student", student), ("teacher", teacher)):
        if not isinstance(scores, Tensor):
            kind = type(scores).__name__
            raise TypeError(f"{name}: expected a network that returns scores, got {kind}; give Distillation a loss")
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, got {temperature!r}")
    if student.dim() < 2 or student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"teacher: expected scores [B, classes, ...] alike in shape, got {shapes}")
    ours, theirs = ((scores.float() / temperature).log_softmax(dim=1) for scores in (student, teacher))
    return temperature**2 * (theirs.exp() * (theirs - ours)).sum(dim=1).mean()


class Distillation(SessionCallback):
    r"""Mixes the loss of fine-tuning with the distance from what a teacher says to the same inputs.

    .. math:: loss = (1 - weight) \cdot task + weight \cdot distance(student, teacher)

    The teacher runs in eval mode, without gradients, on every call that ``training_step`` makes to the network that is
    pruned. Before the cut nothing changes; in the first step it is tried whether teacher and loss take these calls.

    Args:
        session: the one of the :class:`~physprune_pl.callbacks.PruneAndFinetune` of the fit; None finds it.
        teacher: a network that is called as the pruned one is. None: the fit's own network as it was before the cut,
            at its best epoch by the first ModelCheckpoint's or EarlyStopping's monitor, else at the last.
        weight: share of the distance in the loss, from 0 (none) to 1 (nothing else).
        loss: distance of the student's output from the teacher's; None means :func:`soft_cross_entropy`.

    Raises:
        ValueError: for a weight outside [0, 1]; at the start of a fit with manual optimization, or with a teacher that
            shares trainable parameters with the module; in the first step where the teacher cannot be asked.
        TypeError: for a teacher that is no network.
        RuntimeError: in the first step, or a later one, that does not call the network.
    """

    def __init__(
        self,
        session: PruningSession | None = None,
        teacher: nn.Module | None = None,
        weight: float = 0.5,
        loss: DistillationLoss | None = None,
    ) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: expected a share in [0, 1], got {weight}")
        if teacher is not None and not isinstance(teacher, nn.Module):
            raise TypeError(f"teacher: expected a network, got {teacher!r}")
        super().__init__(session, FitArguments())
        self.weight, self.given = weight, teacher
        self.loss = loss or soft_cross_entropy
        self.teacher: nn.Module | None = teacher
        if teacher is None:
            self.needs_dense = "the teacher is the network as it was at its best before any cut"
        self._best: float | None = None
        self._tried = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the network while it is dense; a checkpoint fills the copy later."""
        if stage != "fit":
            return
        share(trainer, fitting=True)
        if not pl_module.automatic_optimization:
            raise ValueError("teacher: with manual optimization the loss is out of reach; distil in training_step")
        self._best, self._tried = None, False
        if self.given is None:
            self.teacher = copy.deepcopy(resolve_module(pl_module, self.session.module))
        elif shared := _shared(self.given, pl_module):
            raise ValueError(f"teacher: expected a network of its own, got one that is trained too ({shared}); copy it")
        assert self.teacher is not None
        self.teacher.requires_grad_(False).eval()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Put the teacher where the network is."""
        assert self.teacher is not None
        self.teacher.to(pl_module.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Without a monitor the teacher is the network as it was last."""
        if find_monitor(trainer)[0] is None:
            self._copy_weights()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """With a monitor the teacher is the network at its best."""
        monitor, mode = find_monitor(trainer)
        if not trainer.validating or trainer.sanity_checking or trainer.state.fn != "fit" or monitor is None:
            return
        score = fresh_metrics(trainer).get(monitor, math.nan) * (1.0 if mode == "max" else -1.0)
        if math.isnan(score) or (self._best is not None and score <= self._best):
            return
        if self._copy_weights():
            self._best = score

    def _copy_weights(self) -> bool:
        """Take the weights of the dense network; say whether it was still there."""
        if self.given is not None or self.session.plan is not None or not self.session.ready:
            return False
        assert self.teacher is not None
        self.teacher.load_state_dict(self.session.model.state_dict())
        return True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """From the first batch after the cut on, teach; as soon as the network is known, try it."""
        if "training_step" in vars(pl_module):
            return
        if self.session.phase == "finetune":
            vars(pl_module)["training_step"] = self._with_teacher(pl_module.training_step)
        elif self.session.ready and not self._tried:
            vars(pl_module)["training_step"] = self._on_trial(pl_module, pl_module.training_step)

    def _on_trial(self, pl_module: LightningModule, training_step: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            vars(pl_module).pop("training_step")
            with _recorded_calls(self.session.model) as calls:
                outcome = training_step(*args, **kwargs)
            if outcome is not None:
                self._tried = True
                self._try(calls)
            return outcome

        return step

    @torch.no_grad()
    def _try(self, calls: list[Call]) -> None:
        self._check_called(calls)
        with saved_random_state():
            for args, kwargs, output in calls:
                try:
                    said = self._teacher_output(args, kwargs)
                except Exception as error:  # whatever a network raises
                    raise ValueError(
                        f"teacher: {type(self.teacher).__name__} does not run on what training_step calls "
                        f"{type(self.session.model).__name__} with ({type(error).__name__}: {error})"
                    ) from error
                self.loss(output, said)

    def _with_teacher(self, training_step: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            with _recorded_calls(self.session.model) as calls:
                outcome = training_step(*args, **kwargs)
            if outcome is None:
                return None
            if isinstance(outcome, Mapping):
                return {**outcome, "loss": self._mixed_loss(outcome["loss"], calls)}
            return self._mixed_loss(outcome, calls)

        return step

    def _mixed_loss(self, task: Tensor, calls: list[Call]) -> Tensor:
        self._check_called(calls)
        distances = [self.loss(output, self._teacher_output(args, kwargs)) for args, kwargs, output in calls]
        return (1 - self.weight) * task + self.weight * torch.stack(distances).mean()

    def _check_called(self, calls: list[Call]) -> None:
        if not calls:
            name = type(self.session.model).__name__
            raise RuntimeError(f"teacher: training_step did not call {name}, which the teacher is to teach")

    @torch.no_grad()
    def _teacher_output(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert self.teacher is not None
        return self.teacher(*args, **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return the teacher's weights, unless it was given."""
        if self.given is not None or self.teacher is None:
            return {}
        return {"teacher": self.teacher.state_dict(), "best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        if self.given is None and self.teacher is not None and state_dict:
            self.teacher.load_state_dict(state_dict["teacher"])
            self._best = state_dict["best"]

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Leave the module as the fit found it."""
        vars(pl_module).pop("training_step", None)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave the module as the fit found it."""
        vars(pl_module).pop("training_step", None)


def _shared(teacher: nn.Module, pl_module: nn.Module) -> str | None:
    """The name of a trainable parameter of the module that is the teacher's too."""
    taught = {id(parameter) for parameter in teacher.parameters()}
    names = (name for name, one in pl_module.named_parameters() if one.requires_grad and id(one) in taught)
    return next(names, None)


@contextmanager
def _recorded_calls(network: nn.Module) -> Iterator[list[Call]]:
    """Listen to what a network is called with and what it returns."""
    calls: list[Call] = []
    handle = network.register_forward_hook(
        lambda _module, args, kwargs, output: calls.append((args, kwargs, output)), with_kwargs=True
    )
    try:
        yield calls
    finally:
        handle.remove()
