"""Watching steps for parameters that the trace has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import nn

from physprune_pl.probing.calls.step_recorder import StepRecorder
from physprune_pl.structure import ChannelGroup

_READS = "reads its channels in a step, and nothing that was traced reaches it"
_COMPARES = "compares its channels with data in a step, and with what was traced it does not"


class StepWatch:
    """Watches one training step and one validation step for parameters and losses that the trace has not seen.

    A training step is watched only where there are such parameters that are trained. Where a later one is the first to
    reach some of them, as their gradients tell, training steps are watched until those are met.

    Args:
        unreached: parameters, by name, that are trained and that the trace has not seen.
    """

    def __init__(self, unreached: Mapping[str, nn.Parameter] | None = None) -> None:
        self._unreached, self._late = dict(unreached or {}), set[str]()
        self._done = set() if unreached else {"training"}
        self._first = True
        self._recorder: StepRecorder | None = None

    def look_at_gradients(self) -> None:
        """Note which parameters the step that runs has reached for the first time."""
        reached = {name for name, parameter in self._unreached.items() if parameter.grad is not None}
        for name in reached:
            del self._unreached[name]
        if not self._first:
            self._late |= reached

    def end_step(self) -> None:
        """Note that a training step is over."""
        self._first = False

    def start(self, kind: str, whole: nn.Module, traced: nn.Module, known: frozenset[str]) -> None:
        """Begin to watch a step of a kind if that is called for; a compiled network is not watched."""
        due = kind not in self._done or (kind == "training" and self._late)
        if self._recorder is not None or not due or any(hasattr(module, "_orig_mod") for module in whole.modules()):
            return
        self._done.add(kind)
        inside = {id(parameter): name for name, parameter in traced.named_parameters()}
        names = {id(parameter): inside.get(id(parameter), name) for name, parameter in whole.named_parameters()}
        outside = {name for name in names.values() if name not in inside.values()}
        self._recorder = StepRecorder(names, known - outside)
        self._recorder.__enter__()  # type: ignore[no-untyped-call]

    def leave(self) -> StepRecorder | None:
        """End the watch and return what it has recorded; None where there was none."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        return recorder

    def stop(self, trainer: Trainer, groups: Sequence[ChannelGroup]) -> Mapping[str, str]:
        """End the watch; return the groups whose channels an unknown parameter reads or a loss compares, with why."""
        if (recorder := self.leave()) is None:
            return {}
        self._late -= recorder.unseen.keys()
        readers = {f"{name} {_COMPARES}": weights for name, weights in recorder.compared.items()}
        readers |= {f"{name} {_READS}": weights for name, weights in recorder.unseen.items()}
        found = {
            group.name: reason
            for reason, weights in reversed(readers.items())
            for group in groups
            if any(part.role == "filter" and part.name in weights for part in group.slices)
        }
        return _of_all(trainer, found)


def _of_all(trainer: Trainer, found: Mapping[str, str]) -> Mapping[str, str]:
    """What any process has found: their steps may take different branches, and their groups must stay the same."""
    own = torch.tensor(len(found), device=trainer.strategy.root_device)
    seen: Any = trainer.strategy.reduce(own, reduce_op="sum")
    if not int(seen):
        return {}
    # Rare, so that it may take one message from each process.
    parts = [trainer.strategy.broadcast(dict(found), src=rank) for rank in range(trainer.world_size)]
    return {name: reason for part in reversed(parts) for name, reason in part.items()}
