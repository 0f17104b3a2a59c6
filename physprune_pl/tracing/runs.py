"""Trying whether a network runs."""

from __future__ import annotations

from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import set_training
from physprune_pl.networks.nested import tensors_in
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.tainting import has_nan


def runs(model: nn.Module, example: Example, training: bool) -> bool:
    """Return whether a model runs on an example without raising or putting out NaN."""
    saved = SavedState(model)  # what a first run makes, a cut copy has to make by itself
    with set_training(model, training):
        try:
            output = example.copy().run(model)
        except Exception:  # a model may insist on another precision or on other inputs; those are tried next
            return False
        finally:
            saved.restore()
    return not any(has_nan(tensor) for tensor in tensors_in(output))
