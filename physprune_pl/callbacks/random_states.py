"""Carries the random generators of all processes through checkpoints, so that a resumed epoch repeats bit for bit."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from physprune_pl.callbacks.trainer.internals import batches_of
from physprune_pl.tools.randomness import random_state, set_random_state


class RandomStates(Callback):
    """Saves the generators of torch, CUDA, numpy and Python in every checkpoint, and puts them back on a resume.

    So dropout and augmentation draw the same numbers in a resumed epoch as they would have without the interruption,
    where the checkpoint was saved at the end of an epoch. Each process of several gets its own state back. It lies in
    the checkpoint under ``callbacks/RandomStates`` as plain tensors, one row per process.

    The generators are put back in ``on_train_start``, and the iterator over the training batches, which Lightning made
    before that, is made anew at the start of the resumed epoch. So it should not be the LightningModule's own
    ``on_train_start`` or ``on_train_epoch_start`` that draws random numbers: a resumed fit would draw others.
    Loaders that restore their own position (``load_state_dict``) keep the iterator that they have.
    """

    def __init__(self) -> None:
        super().__init__()
        self._saved: dict[str, Tensor] | None = None
        self._resumed = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Start afresh; a checkpoint is restored later."""
        self._saved, self._resumed = None, False

    # The state is that of the trainer's processes, not of this object: `state_dict` would not know them.
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Save the generators of all processes."""
        states = random_state(trainer.strategy.root_device)
        checkpoint["callbacks"][self.state_key] = {name: _of_all(trainer, state) for name, state in states.items()}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Keep the states until training starts; a checkpoint of a fit without this callback has none."""
        self._saved = checkpoint.get("callbacks", {}).get(self.state_key)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Put the generators back, before anything is drawn for the first resumed epoch."""
        saved, self._saved = self._saved, None
        if saved is None:
            return
        if (processes := len(saved["torch"])) != trainer.world_size:
            rank_zero_warn(
                f"the checkpoint holds the random states of {processes} processes, not of {trainer.world_size}: "
                f"the resumed epoch draws other random numbers"
            )
            return
        own = {name: states[trainer.global_rank] for name, states in saved.items()}
        set_random_state(own, trainer.strategy.root_device)
        self._resumed = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Make the iterator over the batches anew: it draws the order and the seed of its workers."""
        resumed, self._resumed = self._resumed, False
        fetcher = batches_of(trainer)
        if not resumed or _makes_iterator(trainer):
            return
        if not any(hasattr(one, "load_state_dict") for one in fetcher.combined_loader.flattened):
            iter(fetcher)


def _makes_iterator(trainer: Trainer) -> bool:
    """Whether Lightning itself makes the iterator anew right after this hook; versions differ after a resume."""
    loop = trainer.fit_loop
    return trainer.current_epoch > 0 and not getattr(loop, "is_resuming", False) and not loop.epoch_loop.restarting


def _of_all(trainer: Trainer, state: Tensor) -> Tensor:
    """Stack the states of all processes, [processes, length], on the CPU."""
    if trainer.world_size == 1:
        return state[None]
    gathered: Any = trainer.strategy.all_gather(state.to(trainer.strategy.root_device))
    stacked: Tensor = torch.as_tensor(gathered).reshape(trainer.world_size, -1).cpu()
    return stacked
