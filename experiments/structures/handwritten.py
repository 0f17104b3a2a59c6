"""Norms that a library wrote by hand, exchanged by name for some whose statistics a reference can narrow."""

from __future__ import annotations

import copy
from typing import Any

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


def _of_kept(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a class of norms that see those channels of the last axis only that are not zero everywhere."""

    class OfKept(kind):  # type: ignore[misc,valid-type]
        def forward(self, x: Tensor) -> Tensor:
            index = x.flatten(0, -2).ne(0).any(0).nonzero().flatten()
            few = copy.copy(self)
            few.__class__ = kind  # type: ignore[assignment]
            few._parameters = {name: one.index_select(-1, index) for name, one in self._parameters.items()}
            narrow: Any = few(x.index_select(-1, index))
            return x.new_zeros(x.shape).index_copy(-1, index, narrow)

    return OfKept


def with_torch_norms(model: nn.Module) -> nn.Module:
    """Exchange what is called ``...RMSNorm``, in place, and return the model; it computes in its own precision.

    A ``...GRN`` (global response norm), which divides by a mean over channels, stays what it is and sees the channels
    only that are not zero.
    """
    for module in list(model.modules()):
        if type(module).__name__.endswith("GRN"):
            module.__class__ = _of_kept(type(module))
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith("RMSNorm") and not isinstance(child, nn.RMSNorm):
                setattr(module, name, _RootMeanSquare(child))
    return model
