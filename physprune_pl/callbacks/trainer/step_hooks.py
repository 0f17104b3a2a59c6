"""Functions around every step of an optimizer, however the step is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from physprune_pl.surgery.optimizer_states import with_inner

Visit = Callable[[Optimizer], None]


class StepHooks:
    """Visits optimizers right before and right after they step, and those that they wrap.

    Hooks of a Trainer are called for steps that the Trainer takes, and may come in the middle of them: SAM computes the
    gradients where it has pushed the weights to, and takes that back later. What torch calls around ``step`` itself
    sees them as they stay, and knows steps past the Trainer too.

    >>> import torch
    >>> seen, hooks = [], StepHooks()
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> hooks.enter([optimizer], lambda one: seen.append("before"), lambda one: seen.append("after"))
    >>> optimizer.step()
    >>> hooks.leave()
    >>> optimizer.step()
    >>> seen
    ['before', 'after']
    """

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._hooked: set[int] = set()

    def enter(self, optimizers: Iterable[Optimizer], before: Visit, after: Visit) -> None:
        """Begin to visit optimizers, and no others than these."""
        self.leave()
        for one in {id(one): one for optimizer in optimizers for one in with_inner(optimizer)}.values():
            # What only looks like an optimizer of torch has no hooks.
            if isinstance(one, Optimizer) and hasattr(one, "_optimizer_step_post_hooks"):
                self._handles.append(one.register_step_pre_hook(lambda this, *_: before(this)))
                self._handles.append(one.register_step_post_hook(lambda this, *_: after(this)))
                self._hooked.add(id(one))

    def leave(self) -> None:
        """Visit nobody any more."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._hooked = [], set()

    def knows(self, optimizer: Optimizer) -> bool:
        """Whether the steps of an optimizer, or those of one that it wraps, are visited."""
        return any(id(one) in self._hooked for one in with_inner(optimizer))


def steps_past_trainer(trainer: Trainer, pl_module: LightningModule) -> bool:
    """Whether an optimizer that steps now does so without the Trainer's knowledge, in manual optimization."""
    if pl_module.automatic_optimization:
        return False
    counted = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total
    return bool(counted.ready <= counted.completed)
