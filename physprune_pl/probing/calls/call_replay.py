"""Runs somebody's program again for what it does with a network, and no further."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.calls import Call
from physprune_pl.probing.calls.call_recorder import Recording
from physprune_pl.probing.calls.call_watch import CallWatch, Mark


class _LastCallMade(BaseException):
    """Ends a program after the last call of a part: what comes then is not the network's."""


class CallReplay(CallWatch):
    """Runs a program up to its last recorded call.

    Args:
        network: the network that the program is to run, or a cut copy of it.
        watched: names of parameters, as they were given to the recorder.
        recording: what the program did with the network before.

    Attributes:
        outputs: the tensors that reach the loss.
        calls: the calls as they were made, with copies of their arguments: a call may change what it is given.
    """

    def __init__(self, network: nn.Module, watched: frozenset[str], recording: Recording) -> None:
        super().__init__(network, watched)
        self._recording = recording
        self.outputs: list[Tensor] = []
        self.calls: list[Call] = []

    def run(self, program: Callable[[], Any]) -> None:
        """Run a program; a RuntimeError if it makes fewer calls than it did when it was recorded."""
        try:
            with self:
                program()
        except _LastCallMade:
            return
        made = len(self.calls)
        if made < self._recording.count:
            raise RuntimeError(f"expected {self._recording.count} calls of the network as before, got {made}")

    def begin(self, call: Call) -> None:
        """Keep a call with a copy of its arguments."""
        self.calls.append(call.copy())

    def put_out(self, marks: Sequence[tuple[Mark, Tensor]], outermost: bool) -> None:
        """Keep what reaches the loss; end the program after the last call."""
        self.outputs += [tensor for mark, tensor in marks if mark in self._recording.outputs]
        if outermost and len(self.calls) == self._recording.count:
            raise _LastCallMade
