"""Norms that a library wrote by hand, exchanged by name for PyTorch's, whose statistics a reference can narrow."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _RootMeanSquare(nn.Module):
    def __init__(self, written: nn.Module) -> None:
        super().__init__()
        self.weight, self.epsilon = written.weight, float(getattr(written, "variance_epsilon", 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)  # type: ignore[arg-type]


def in_torch(model: nn.Module) -> nn.Module:
    """Let every module that names a class as its ``in_torch`` be of that class, in place, and return the model.

    That class computes the same from the same parameters, with PyTorch's norms in the place of what is written out.
    """
    for module in model.modules():
        module.__class__ = getattr(type(module), "in_torch", type(module))
    return model


def with_torch_norms(model: nn.Module) -> nn.Module:
    """Exchange what is called ``...RMSNorm``, in place, and return the model; it computes in its own precision."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith("RMSNorm") and not isinstance(child, nn.RMSNorm):
                setattr(module, name, _RootMeanSquare(child))
    return model
