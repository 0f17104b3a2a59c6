"""Calls of a network's parts, noted where somebody's program makes them, and made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import unwritten
from physprune_pl.networks.left_out import Tape, playing
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import mapped

REFUSAL = (
    "training_step: the network does not run again on what it was called with, in eval mode",
    "give example_input, what forward is called with",
)


@dataclass(frozen=True)
class Call:
    """One call of a part of a network.

    Attributes:
        part: path of the part in the network, empty for the network itself; None for an operation.
        method: what was called: ``"__call__"``, ``"forward"`` past all hooks, or the operation.
        args: positional arguments.
        kwargs: keyword arguments.
    """

    part: str | None
    method: str | Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def copy(self) -> Call:
        """Return the call with copies of its tensors and of what holds them, as they are now."""
        args, kwargs = mapped((self.args, dict(self.kwargs)), lambda tensor: tensor.detach().clone())
        return replace(self, args=args, kwargs=kwargs)

    def make(self, network: nn.Module) -> Any:
        """Make the call."""
        method = self.method
        if isinstance(method, str):
            method = getattr(network.get_submodule(self.part or ""), method)
        return method(*self.args, **self.kwargs)


@dataclass(frozen=True)
class Calls(Example):
    """Calls that need nothing of one another; ``args`` are the :class:`Call` objects, in their order.

    Attributes:
        tapes: of what copies of the network cannot have.

    >>> import torch
    >>> calls = Calls((Call("0", "__call__", (torch.zeros(4, 3),)), Call("0", "forward", (torch.zeros(4, 3),))))
    >>> [output.shape for output in calls.sized(1).run(nn.Sequential(nn.Linear(3, 2)))]
    [torch.Size([1, 2]), torch.Size([1, 2])]
    """

    tapes: Mapping[int, Tape] = field(kw_only=True, default_factory=dict)

    refusal = REFUSAL

    def to(self, like: nn.Module) -> Calls:  # noqa: ARG002 - what was noted there is where it belongs
        """Return the calls as they are: every tensor is where the part was given it."""
        return self

    def run(self, model: nn.Module) -> list[Any]:
        """Make the calls; return what they put out."""
        with unwritten(named_tensors(model), self.written), playing(self.tapes):
            return [call.make(model) for call in self.args]
