"""Modes of networks whose own code puts out something else when they are evaluated than in a training step."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from physprune_pl.callbacks.session.step_replay import StepReplay
from physprune_pl.networks.isolation import saved_random_state, seed_everything_inside, set_training
from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.calls.call_replay import CallReplay

log = logging.getLogger(__name__)
_SEED = 30


@dataclass(frozen=True)
class OwnCodeTrains(StepReplay):
    """A step for a network that decides by ``self.training`` what it puts out: its own code always trains.

    The layers of torch in it are in the mode of the network, so that an evaluated one drops nothing out and normalizes
    as it does in use.
    """

    def _replayed(self, model: nn.Module) -> CallReplay:
        with _own_code_in_training(model):
            return super()._replayed(model)


def suited(replay: StepReplay, network: nn.Module) -> StepReplay:
    """Return what makes the same calls of a network in eval mode as the step makes in train mode.

    Args:
        replay: the step.
        network: a copy of the network, which is run and may be changed.
    """
    trained = _made(replay, network, training=True)
    others = OwnCodeTrains(**{part.name: getattr(replay, part.name) for part in fields(replay)})
    same = (one for one in (replay, others) if _made(one, network, training=False) == trained)
    return next(same, replay)


def _made(replay: StepReplay, network: nn.Module, training: bool) -> list[Any] | None:
    """Return the shapes that the calls of a step get and that reach the loss; None if it does not run."""
    with saved_random_state(), set_training(network, training):
        seed_everything_inside(_SEED)
        try:
            made = replay.copy()._replayed(network)
        except Exception as error:  # whatever a step raises
            log.debug("the step does not run with training=%s: %s", training, error)
            return None
    given = [[one.shape for one in tensors_in([call.args, call.kwargs])] for call in made.calls]
    return [*given, [one.shape for one in made.outputs]]


@contextmanager
def _own_code_in_training(model: nn.Module) -> Iterator[None]:
    own = [part for part in model.modules() if not type(part).__module__.startswith("torch.") and not part.training]
    for part in own:
        part.training = True
    try:
        yield
    finally:
        for part in own:
            part.training = False
