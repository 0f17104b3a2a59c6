"""gluonts: probabilistic forecasts by a transformer over patches."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, waves

PAST, FUTURE = 24, 8


def samples(count: int, seed: int) -> list[dict[str, Tensor]]:
    """Return windows as gluonts names their parts."""
    return [
        {
            "past_target": one[:PAST],
            "past_observed_values": torch.ones(PAST),
            "future_target": one[PAST:],
            "future_observed_values": torch.ones(FUTURE),
        }
        for one in waves(count, seed, PAST + FUTURE)[..., 0]
    ]


def client() -> Client:
    """Return the lightning module behind PatchTSTEstimator."""
    from gluonts.torch.model.patch_tst.lightning_module import PatchTSTLightningModule

    sizes = {"prediction_length": FUTURE, "context_length": PAST, "patch_len": 8, "stride": 4, "padding_patch": "end"}
    widths = {"d_model": 32, "nhead": 4, "dim_feedforward": 64, "num_encoder_layers": 2, "num_feat_dynamic_real": 0}
    kind = {"dropout": 0.1, "activation": "relu", "norm_first": False, "scaling": "mean"}
    return Client(
        module=lambda: PatchTSTLightningModule(model_kwargs={**sizes, **widths, **kind}),
        data=Loaders(*both(samples, 256)),
        metric="val_loss",
        epochs=300,
        what="PatchTST, two noisy sines",
        style="batch is a dict; the step calls self.model.loss(...), no forward; the output is a distribution's "
        "parameters",
    )
