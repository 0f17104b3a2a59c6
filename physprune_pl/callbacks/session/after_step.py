"""What steering takes from weights once an optimizer has stepped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.injection import held_ids
from physprune_pl.callbacks.trainer.step_hooks import StepHooks
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.pressing.weight_copies import WeightCopies


@dataclass
class Asked:
    """What one optimizer step must leave of the channels.

    Attributes:
        keep: share of its strength that each keeps, shape [N]; None where the gradient has pressed.
        limit: the most strength that each may have, shape [N]; None while optimizers have their way.
        given: ids of the parameters from which the shares were taken.
    """

    keep: Tensor | None
    limit: Tensor | None
    given: set[int] = field(default_factory=set)

    @classmethod
    def of_steering(cls, steering: Steering, factor: float, strengths: Tensor, law: Tensor, by_gradient: bool) -> Asked:
        """Ask for what steering wants of a step, given strengths [N] and law [N], of which ``factor`` counts."""
        keep = None if by_gradient else 1.0 - factor * (1.0 - steering.kept(strengths, law))
        return cls(keep, steering.limit(strengths, law, factor))

    def share(self, penalty: Penalty) -> Tensor | None:
        """Return what share of its strength each channel keeps now, given the weights of now, shape [N]."""
        if self.limit is None:
            return self.keep
        # The limit counts what was to be kept already.
        now = penalty.strengths()
        return (self.limit / now.clamp(min=torch.finfo(now.dtype).tiny)).clamp(max=1.0)

    def of(self, held: set[int]) -> set[int]:
        """Return from which of some parameters it is still to be taken, and note that it is."""
        left = held - self.given if self.limit is None else held
        self.given |= held
        return left


class AfterStep:
    """Waits for the end of optimizer steps, and takes from the weights, and from copies of them, what was asked.

    Args:
        session: says what is pressed.
        pay: presses for one optimizer that is about to step without the Trainer's knowledge.

    Attributes:
        copies: what was found out about the optimizers' states, see
            :attr:`~physprune_pl.pressing.weight_copies.WeightCopies.seen`.
    """

    def __init__(self, session: PruningSession, pay: Callable[[Trainer, LightningModule, Optimizer], None]) -> None:
        self._session, self._pay = session, pay
        self._hooks = StepHooks()
        self._asked: Asked | None = None
        self._copies: tuple[Penalty, WeightCopies] | None = None
        self.copies: dict[str, bool] = {}

    def enter(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with the optimizers of a trainer."""

        def unannounced(optimizer: Optimizer) -> None:
            # Automatic optimization has pressed before the backward pass.
            if not pl_module.automatic_optimization:
                self._pay(trainer, pl_module, optimizer)

        self._asked = None
        self._hooks.enter(trainer.optimizers, unannounced, self.settle)

    def leave(self) -> None:
        """End: optimizers have their way."""
        self._hooks.leave()
        self._asked = self._copies = None

    def announce(self, optimizer: Optimizer) -> None:
        """Say that the Trainer is about to let an optimizer step."""
        self._hooks.announce(optimizer)

    def ask(self, asked: Asked | None) -> None:
        """Say what the next step must leave."""
        self._asked = asked

    def settle_unseen(self, optimizer: Optimizer) -> None:
        """Take at once what is asked of an optimizer of which nobody will tell that it has stepped."""
        if not self._hooks.knows(optimizer):
            self.settle(optimizer)

    def settle(self, optimizer: Optimizer) -> None:
        """Take what is asked from what an optimizer holds."""
        if self._asked is None or not self._session.presses:
            return
        penalty = self._session.penalty
        with self._session.trainable():
            copies = self._looked(penalty, optimizer)
            share, only = self._asked.share(penalty), self._asked.of(held_ids([optimizer]))
            if share is not None and only:
                penalty.shrink(share, only)
                copies.shrink(share, optimizer, only)

    def _looked(self, penalty: Penalty, optimizer: Optimizer) -> WeightCopies:
        if self._copies is None or self._copies[0] is not penalty:
            session = self._session
            self._copies = penalty, WeightCopies(session.groups, session.tensors, session.strength, self.copies)
        self._copies[1].look(optimizer)
        return self._copies[1]
