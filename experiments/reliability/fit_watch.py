"""What holds in every fit: one penalty to a step, the cut network whole in its optimizer, all phases completed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.optim import Optimizer

from experiments.reliability.reference import penalty
from experiments.reliability.setting import differing
from physprune_pl import physics_pruning
from physprune_pl.callbacks import ForceRegularization

COEFFICIENT = 0.02


class FitWatch(Callback):
    """Compares ``.grad`` before every optimizer step with what autograd alone gave the parameters, plus one penalty.

    It has to come after the force callback, and before the one that cuts.

    Attributes:
        pressed: steps that had exactly one penalty in their gradients.
        free: steps of fine-tuning, which had none.
    """

    def __init__(self, force: ForceRegularization) -> None:
        self.force, self.coefficient = force, force.coefficient
        self.pressed = self.free = 0
        self._given: dict[int, Tensor] = {}
        self._handles: list[Any] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Note from now on what autograd gives the parameters."""
        self.pressed = self.free = 0
        trainable = [one for one in pl_module.parameters() if one.requires_grad]
        self._handles = [one.register_hook(partial(self._note, id(one))) for one in trainable]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Forget what was computed between epochs: the cut network is tried out."""
        if batch_idx == 0:
            self._given.clear()

    def _note(self, key: int, gradient: Tensor) -> None:
        self._given[key] = self._given[key] + gradient if key in self._given else gradient.clone()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Optimizer) -> None:  # noqa: ARG002
        """Compare."""
        held = [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
        session = self.force.session
        pressed = {id(one) for one in session.tensors.values()} & {id(one) for one in held}
        force = session.phase == "sparsify" and bool(pressed)
        pulls = self._pulls() if force else {}
        for one in held:
            zero = torch.zeros_like(one)
            expected = self._given.pop(id(one), zero) + pulls.get(id(one), zero)
            torch.testing.assert_close(one.grad, expected, rtol=1e-4, atol=1e-6)
        self.pressed, self.free = self.pressed + force, self.free + (session.phase == "finetune")

    def _pulls(self) -> dict[int, Tensor]:
        """The gradient of one penalty, by autograd."""
        session = self.force.session
        copies = {name: one.detach().clone().requires_grad_(one.requires_grad) for name, one in session.tensors.items()}
        with torch.enable_grad(), torch.inference_mode(False):
            torch.autograd.backward(penalty(copies, session.groups, float(self.coefficient)))
        found = ((id(session.tensors[name]), one.grad) for name, one in copies.items())
        return {key: gradient for key, gradient in found if gradient is not None}

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Stop watching."""
        for handle in self._handles:
            handle.remove()
        self._given.clear()


def pruning(**settings: Any) -> list[Callback]:
    """The callbacks of a fit that cuts to half of the MACs, with a watch; the last has the report."""
    usual: dict[str, Any] = {"coefficient": COEFFICIENT, "target": {"macs": 0.5}, "finetune_epochs": 2}
    force, *others, cut = physics_pruning("exponential", **usual | settings)
    assert isinstance(force, ForceRegularization)
    return [force, *others, FitWatch(force), cut]


def finished(callbacks: Sequence[Any], trainer: Any, net: nn.Module) -> str:
    """Make sure that a fit with :func:`pruning` went through all its phases, and say how far it came.

    Args:
        callbacks: of the fit.
        trainer: of the fit.
        net: what was pruned.
    """
    force, watch, cut = callbacks[0], next(one for one in callbacks if isinstance(one, FitWatch)), callbacks[-1]
    assert cut.report is not None, "there is no report"
    assert {"sparsify", "cut", "finetune"} <= set(cut.report.seconds), cut.report.seconds
    assert watch.pressed == force.steps > 0, differing(watch.pressed, force.steps)
    assert watch.free > 0, "no step after the cut"
    pruned, dense = cut.report.params["pruned"], cut.report.params["dense"]
    assert pruned == sum(one.numel() for one in net.parameters()) < dense, (pruned, dense)
    live_in_optimizers(net.parameters(), trainer.optimizers)
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values()), "weights are not finite"
    return f"{watch.pressed} + {watch.free} steps, {pruned} of {dense} parameters"


def live_in_optimizers(parameters: Iterable[nn.Parameter], optimizers: Sequence[Optimizer]) -> None:
    """Make sure that optimizers hold all trainable parameters, with moments of their shapes."""
    held = {id(one) for optimizer in optimizers for group in optimizer.param_groups for one in group["params"]}
    for parameter in parameters:
        assert id(parameter) in held or not parameter.requires_grad, f"a parameter of shape {parameter.shape} is lost"
        for optimizer in optimizers:
            moments = (value for value in optimizer.state.get(parameter, {}).values() if isinstance(value, Tensor))
            assert all(one.numel() == 1 or one.shape == parameter.shape for one in moments), "a moment of another shape"
