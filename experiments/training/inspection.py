"""What a configuration would cut, told without training: ``python train.py inspect=true``."""

from __future__ import annotations

import lightning as L
from omegaconf import DictConfig

from experiments.training.assembly import build_data, build_model, build_pruning
from physprune_pl.preview import preview

NOTE = (
    "Nothing was trained. The plan ranks channels by the strengths of these weights; a run chooses while it trains, so "
    "its widths differ and its costs meet the same target."
)


def inspection(config: DictConfig) -> str:
    """Trace the network of a configuration and return its groups, its costs and the plan for the target as text.

    No data are read, but where the network can only be built from them. A target out of reach is said so.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    model = build_model(config, build_data(config))
    pruner = build_pruning(config)[1]
    if pruner is None:
        return str(preview(model, model.example_input_array))
    return f"{pruner.preview(model)}\n\n{NOTE}"
