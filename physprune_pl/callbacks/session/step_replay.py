"""A training step as what a network is run with: again and again, for the calls that it makes of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor, nn

from physprune_pl.callbacks.trainer.module_copy import ModuleCopy
from physprune_pl.networks.calls import REFUSAL, Calls
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import unwritten
from physprune_pl.networks.left_out import Tape, playing
from physprune_pl.probing.calls.call_recorder import Recording
from physprune_pl.probing.calls.call_replay import CallReplay


@dataclass(frozen=True)
class StepReplay(Example):
    """Batch, its number, and the arguments of a recorded step, which runs up to its last call of the network.

    What it puts out is what calls have put out and the loss is made of.

    Attributes:
        stage: where it runs.
        watched: names of the network's parameters whose parts' calls were recorded.
        recording: what the step did with the network.
        tapes: of what copies of the module cannot have.
    """

    stage: ModuleCopy = field(kw_only=True)
    watched: frozenset[str] = field(kw_only=True)
    recording: Recording = field(kw_only=True)
    tapes: Mapping[int, Tape] = field(kw_only=True, default_factory=dict)

    ends = "the loss is computed from its channels"
    refusal = REFUSAL

    def to(self, like: nn.Module) -> Self:  # noqa: ARG002 - what was recorded there is where it belongs
        """Return the step as it is: every tensor is where the step was given it."""
        return self

    def run(self, model: nn.Module) -> list[Tensor]:
        """Run the step with a copy of the network, and return what reaches the loss."""
        return self._replayed(model).outputs

    def calls(self, model: nn.Module) -> Example:
        """Return the calls that the step makes of a copy of the network."""
        return Calls(tuple(self._replayed(model).calls), whole=True, written=self.written, tapes=self.tapes)

    def _replayed(self, model: nn.Module) -> CallReplay:
        with self.stage.holding(model) as (module, network):
            replay = CallReplay(network, self.watched, self.recording)
            with unwritten(replay.tensors, self.written), playing(self.tapes):
                replay.run(lambda: run_step(module, *self.args))
        return replay


def run_step(module: Any, batch: Any, batch_idx: int, *arguments: Any) -> Any:
    """Run a step as a trainer does, the module's hook before it included; None where that skips the batch."""
    skipped = module.on_train_batch_start(batch, batch_idx) == -1
    return None if skipped else module.training_step(*arguments)
