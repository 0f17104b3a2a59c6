"""Norms over channels that somebody wrote by hand, run as PyTorch's own while a model is traced.

Inside such a norm a mean mixes all channels, and nothing tells it from any other mixture. So every module that looks
like one is tried: it is a norm if it computes what PyTorch's norm computes with the same scale, shift and epsilon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physprune_pl.networks.isolation import copied

_EPSILONS = ("variance_epsilon", "eps", "epsilon", "norm_eps", "layer_norm_eps")


class PlainRootMeanSquare(nn.Module):
    """``weight * x / sqrt(mean(x^2) + epsilon)`` over the last dimension; made by exchanging a module's class."""

    weight: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., channels]."""
        return F.rms_norm(x, self.weight.shape, self.weight, _epsilon(self))


class PlainLayerNorm(nn.Module):
    """``weight * (x - mean(x)) / sqrt(var(x) + epsilon) + bias`` likewise."""

    weight: nn.Parameter
    bias: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., channels]."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, _epsilon(self) or 0.0)


_PLAIN: Mapping[tuple[str, ...], type[nn.Module]] = {
    ("weight",): PlainRootMeanSquare,
    ("weight", "bias"): PlainLayerNorm,
}


@contextmanager
def plain_norms(model: nn.Module) -> Iterator[None]:
    """Let hand-written norms of a model run as PyTorch's own, and give each its class back on leaving.

    Draws random numbers.
    """
    own = [(module, type(module), _plain_class(module)) for module in model.modules()]
    try:
        for module, _, plain in own:
            if plain is not None:
                module.__class__ = plain
        yield
    finally:
        for module, kind, _ in own:
            module.__class__ = kind


def _epsilon(module: nn.Module) -> float | None:
    found = (vars(module).get(name) for name in _EPSILONS)
    return next((value for value in found if isinstance(value, float)), None)


def _plain_class(module: nn.Module) -> type[nn.Module] | None:
    """Return the class that a hand-written norm may run as; None for any other module."""
    parameters = dict(module.named_parameters(recurse=False))
    plain = _PLAIN.get(tuple(parameters))
    if plain is None or _epsilon(module) is None or list(module.children()) or isinstance(module, _TORCH_NORMS):
        return None
    shapes = {tuple(parameter.shape) for parameter in parameters.values()}
    return plain if len(shapes) == 1 and len(next(iter(shapes))) == 1 and _alike(module, plain) else None


_TORCH_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


def _alike(module: nn.Module, plain: type[nn.Module]) -> bool:
    """Whether a norm computes the same in both classes, whatever its parameters."""
    twin = copied(module).float()  # half as many digits would not tell one norm from another
    for parameter in twin.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    x = torch.randn_like(next(twin.parameters()).expand(2, 3, -1))
    try:
        own = twin(x)
        twin.__class__ = plain
        return bool(torch.allclose(own, twin(x), rtol=1e-4, atol=1e-4))
    except Exception:  # what takes other inputs is something else
        return False
