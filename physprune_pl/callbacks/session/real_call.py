"""Finds out what a fit calls its network with: a training step is run once on a copy, and its calls are recorded."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn.parameter import is_lazy

from physprune_pl.callbacks.session.step_modes import suited
from physprune_pl.callbacks.session.step_replay import StepReplay, run_step
from physprune_pl.callbacks.session.trained_parameters import trained_names
from physprune_pl.callbacks.trainer.module_copy import ModuleCopy
from physprune_pl.callbacks.trainer.next_step import Step, agreed
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.networks.calls import Calls
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import copied, run_eagerly, saved_random_state, seed_everything_inside
from physprune_pl.networks.left_out import LeftOutError, Tape, playing
from physprune_pl.networks.names import named_tensors
from physprune_pl.probing.calls.call_recorder import CallRecorder, Recording

log = logging.getLogger(__name__)
_SEED = 30


class NotRecordedError(ValueError):
    """A training step does not tell what it calls the network with."""


class RealCall:
    """Records what one training step does with a network.

    Args:
        trainer: the trainer of the fit.
        pl_module: the LightningModule; nothing happens to it.
        module: name of the network, see :func:`~physprune_pl.callbacks.trainer.pruned_module.resolve_module`.
        tapes: of what copies of the module cannot have, see :class:`~physprune_pl.networks.taping.Taping`.

    Raises:
        NotRecordedError: no optimizer trains a parameter of the network.
    """

    def __init__(
        self, trainer: Trainer, pl_module: LightningModule, module: str | None, tapes: Mapping[int, Tape] | None = None
    ) -> None:
        self._trainer, self._pl_module, self._name = trainer, pl_module, module
        self._tapes = dict(tapes or {})
        network = resolve_module(pl_module, module)
        # A single number has no channels.
        numbers = {name for name, one in network.named_parameters() if not is_lazy(one) and one.numel() == 1}
        self._trained = trained_names(trainer, network) - numbers
        if not self._trained:
            raise NotRecordedError(f"module: no optimizer trains a parameter of {type(network).__name__}")

    def copy(self) -> tuple[nn.Module, nn.Module]:
        """Return a copy of the LightningModule, and the network in it.

        Raises:
            NotRecordedError: the module's own code refuses to be copied.
        """
        try:
            module = copied(self._pl_module)
        except Exception as error:  # whatever that code raises
            raise NotRecordedError(
                f"training_step: to see what it gives to the network it is run on a copy of "
                f"{type(self._pl_module).__name__}, which refuses to be copied ({type(error).__name__}: {error}); give "
                f"example_input"
            ) from error
        return module, resolve_module(module, self._name)

    def example(self, step: Step) -> Example | None:
        """Return what the network is called with in a step; None if the step computes no loss with it.

        Of several processes all get the first one's. Lazy layers are waited for: what they become is the first step's
        affair, random numbers included.

        Raises:
            NotRecordedError: the step does not run on a copy of the module.
            LeftOutError: it needs something of the module that copies cannot have and that there is no tape of.
        """
        if any(map(is_lazy, self._pl_module.parameters())):
            return None
        step, watched = agreed(self._trainer, step), self._trained
        recording = self._recorded(step, watched)
        if recording is not None and (others := recording.followers.keys() - watched):
            # What follows the trained weights, such as a momentum encoder, is a part as well.
            watched, before = watched | others, recording
            recording = self._recorded(step, watched)
            recording = recording and replace(recording, followers=before.followers)
        return None if recording is None else self._example(step, watched, recording)

    def _example(self, step: Step, watched: frozenset[str], recording: Recording) -> Example:
        """Make the calls where each can be made by itself, else run the step for them."""
        others = frozenset(named_tensors(resolve_module(self._pl_module, self._name))) - recording.called
        known = recording.followers, recording.written, others - recording.followers.keys()
        if recording.independent:
            alike = all(Example(call.args, call.kwargs).alike for call in recording.calls)
            return Calls(recording.calls, {}, not alike, *known, tapes=self._tapes)
        stage = ModuleCopy(self._trainer, *self.copy())
        whole = not Example(step).alike
        replay = StepReplay(
            *(step, {}, whole, *known), stage=stage, watched=watched, recording=recording, tapes=self._tapes
        )
        return suited(replay, self.copy()[1])

    def _recorded(self, step: Step, watched: Collection[str]) -> Recording | None:
        module, network = self.copy()
        recorder = CallRecorder(network, watched)
        with saved_random_state(), run_eagerly(), ModuleCopy(self._trainer, module, module).holding(module):
            seed_everything_inside(_SEED)
            try:
                with torch.enable_grad(), playing(self._tapes) as player, recorder:
                    returned = run_step(module, *Example(step).copy().args)
                player.check()
            except LeftOutError:
                raise
            except Exception as error:  # whatever a step raises
                raise NotRecordedError(
                    f"training_step: {type(self._pl_module).__name__} does not run it on a copy of itself, to see what "
                    f"the network is called with ({type(error).__name__}: {error}); give example_input, what forward "
                    f"is called with: a tensor, a tuple of positional or a dict of keyword arguments"
                ) from error
            recording = recorder.recording(returned)
            return recording and self._followed(module, returned, step, recorder, recording)

    def _followed(
        self, module: Any, returned: Any, step: Step, recorder: CallRecorder, recording: Recording
    ) -> Recording:
        """Add what the module's other hooks around a step compute from its weights."""
        outcome = returned if returned is None or isinstance(returned, Mapping) else {"loss": returned}
        hooks: list[tuple[str, tuple[Any, ...]]] = [("on_after_backward", ())]
        hooks += [("on_before_zero_grad", (optimizer,)) for optimizer in module.trainer.optimizers]
        hooks += [("on_train_batch_end", (outcome, *step[:2]))]
        for name, arguments in hooks:
            try:
                with torch.enable_grad(), recorder:
                    getattr(module, name)(*arguments)
            except Exception as error:  # what it needed besides is not there; the rest of it stays unseen
                log.debug("%s does not run on a copy: %s", name, error)
        return replace(recording, followers=recorder.followers, written=recorder.written)
