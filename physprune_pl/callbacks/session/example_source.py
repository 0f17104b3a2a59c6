"""Where the example input of a fit comes from: from its user, else from a training step."""

from __future__ import annotations

from typing import NamedTuple

from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import nn

from physprune_pl.callbacks.session.real_call import NotRecordedError, RealCall
from physprune_pl.callbacks.trainer.next_step import Step
from physprune_pl.callbacks.trainer.precision import plain_forward
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.networks.example import Example, ExampleInput
from physprune_pl.networks.left_out import LeftOutError
from physprune_pl.networks.taping import Taping


class Found(NamedTuple):
    """A network, or a copy of it, and what it is run with.

    Attributes:
        network: the network to trace.
        example: what it is run with.
    """

    network: nn.Module
    example: Example | ExampleInput


class ExampleSource:
    """Finds what the network of a fit is run with.

    Args:
        module: name of the network, None for the one that is meant without a name.
        given: the user's example input; None: what the first training step that computes a loss calls it with, or
            ``example_input_array`` of the LightningModule where the step does not run on a copy of it.
    """

    def __init__(self, module: str | None, given: ExampleInput | None) -> None:
        self.module, self.given = module, given
        self._waited = 0
        self._taped: tuple[Taping, Step] | None = None

    def find(self, trainer: Trainer, pl_module: LightningModule, step: Step | None) -> Found | None:
        """Return network and example; None as long as there is no step that tells.

        Raises:
            ValueError: no step tells what the network is called with.
        """
        if self.given is not None:
            return self._of_user(trainer, pl_module, self.given)
        if step is None:
            return None
        try:
            return self._of_step(trainer, pl_module, step)
        except NotRecordedError as error:
            if pl_module.example_input_array is None:
                raise
            rank_zero_warn(f"{error}; example_input_array is taken")
            return self._of_user(trainer, pl_module, pl_module.example_input_array)

    def _of_user(self, trainer: Trainer, pl_module: LightningModule, example: ExampleInput) -> Found:
        converted = trainer.precision_plugin.convert_input(example)
        network = resolve_module(pl_module, self.module)
        return Found(network, move_data_to_device(converted, pl_module.device))

    def end_step(self) -> None:
        """Note that a training step is over, or that none will end: what was put in between for it goes."""
        if self._taped is not None:
            self._taped[0].end()

    def _of_step(self, trainer: Trainer, pl_module: LightningModule, step: Step) -> Found | None:
        if self._taped is not None and self._taped[0].running:
            return None
        tapes = None
        if self._taped is not None:
            tapes, step = self._taped[0].tapes, self._taped[1]
        real = RealCall(trainer, pl_module, self.module, tapes)
        try:
            with plain_forward(trainer):
                example = real.example(step)
        except LeftOutError as error:
            if tapes is not None:
                raise NotRecordedError(f"training_step: {error}; give example_input") from error
            self._let_it_run(pl_module, step, error)
            return None
        if example is not None:
            return Found(real.copy()[1], example)
        self._waited, self._taped = self._waited + 1, None
        if self._waited > trainer.num_training_batches + 1:
            network = type(resolve_module(pl_module, self.module)).__name__
            raise NotRecordedError(
                f"training_step: in {self._waited} steps {type(pl_module).__name__} computed no loss with {network}; "
                f"name the network that is trained (module) or give example_input"
            )
        return None

    def _let_it_run(self, pl_module: LightningModule, step: Step, error: LeftOutError) -> None:
        """Let the step run first, and note what it takes from where a trial must take nothing."""
        rank_zero_info(f"{error}: this step is run without a force, and what it takes from there is noted")
        # Once the step has run it has no batch any more as it came.
        self._taped = Taping(pl_module), Example(step).copy().args
