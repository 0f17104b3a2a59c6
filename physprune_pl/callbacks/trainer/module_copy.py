"""Where a training step is run again: on a copy of its module, for nobody else."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any

from torch import nn

from physprune_pl.callbacks.trainer.stand_in import attached, stand_in
from physprune_pl.networks.saved_state import SavedState


class ModuleCopy:
    """A copy of a LightningModule in which a network can be exchanged, to run its steps.

    Args:
        trainer: the trainer of the fit; steps get a stand-in for it.
        module: the copy; where another network is to be exchanged it loses its own.
        network: the part of the copy that is exchanged, or the copy itself: then it is exchanged as a whole.
    """

    def __init__(self, trainer: Any, module: nn.Module, network: nn.Module) -> None:
        self._trainer = trainer
        self._module = None if network is module else module
        self._seat = network
        if self._module is not None:
            object.__setattr__(network, "__dict__", vars(nn.Module()))
            self._saved = SavedState(self._module)

    @contextmanager
    def holding(self, network: nn.Module) -> Iterator[tuple[Any, nn.Module]]:
        """Put a network in; give the LightningModule, ready to run its steps, and the network as it is called there.

        What others remember of the network's place, they find the network in it.
        """
        with ExitStack() as stack:
            module, seat = network, network
            if self._module is not None:
                stack.callback(self._saved.restore)
                module, seat = self._module, self._seat
                stack.enter_context(_contents(seat, network))
            stack.enter_context(attached(module, stand_in(self._trainer, module)))
            stack.enter_context(quietly())
            yield module, seat


@contextmanager
def _contents(seat: nn.Module, network: nn.Module) -> Iterator[None]:
    """Let one module be another one, for everybody who holds it."""
    own, kind = vars(seat), type(seat)
    object.__setattr__(seat, "__dict__", vars(network))
    seat.__class__ = type(network)
    try:
        yield
    finally:
        seat.__class__ = kind
        object.__setattr__(seat, "__dict__", own)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep to itself what is printed, logged and warned of: the real step says it once."""
    disabled = logging.root.manager.disable
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
