"""Lightning's own ModelPruning: filters are masked, nothing is removed."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelPruning
from torch import nn

from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised


class LightningMasks:
    """Masks the filters of least L2 norm in every convolution, as many as would meet the target were they removed."""

    def presses(self, model: Supervised) -> Sequence[L.Callback]:  # noqa: ARG002
        """Press nothing: the callback has no sparse training."""
        return ()

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:  # noqa: ARG002
        """Mask: with a share s of the filters in every layer kept, s * s of the MACs would be left."""
        masked = 1 - macs**0.5
        self._callback = ModelPruning(
            "ln_structured",
            [(one, "weight") for one in model.network.modules() if isinstance(one, nn.Conv2d)],
            use_global_unstructured=False,
            amount=masked,
            pruning_norm=2,
            pruning_dim=0,
        )
        self._callback.setup(model.trainer, model, "fit")
        self._callback.apply_pruning(masked)
        # A weight that was just masked has a graph behind it and cannot be copied; the next forward masks it anew.
        with torch.no_grad():
            model.network.eval()(model.example_input_array)

    def finish(self, model: Supervised) -> None:
        """Multiply the masks into the weights, as the callback does at the end of a fit."""
        self._callback.make_pruning_permanent(model)
