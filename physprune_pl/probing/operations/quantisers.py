"""Modules that watch or round tensors for quantisation: they change no channel, and remember numbers for some."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

_KINDS = (
    ("torch.ao.quantization.fake_quantize", "FakeQuantizeBase"),
    ("torch.ao.quantization.observer", "ObserverBase"),
)


def quantised(x: Tensor, axis: int, *vectors: Tensor) -> Tensor:
    """Return a tensor as it is; ``vectors`` have a number for every index of an axis of it."""
    tensors = (x, *vectors)
    if has_torch_function(tensors):
        result: Tensor = handle_torch_function(quantised, tensors, x, axis, *vectors)
        return result
    return x


def _forward(self: nn.Module, x: Tensor) -> Tensor:
    """Return what came in, to be seen together with what the module keeps for every channel of it."""
    return quantised(x, getattr(self, "ch_axis", -1), *(one for one in self.buffers() if one.dim() == 1))


@cache
def _unquantised(kind: Any) -> type[nn.Module]:
    """Return a class of modules that stand for those of a class, and let everything through as it is."""
    return type(kind.__name__, (kind,), {"forward": _forward})


@contextmanager
def plain_quantisers(model: nn.Module) -> Iterator[None]:
    """Let fake quantisation and observers do nothing, and give each its class back on leaving."""
    # The library is large: who has not loaded it has no such module.
    kinds: tuple[Any, ...] = tuple(getattr(sys.modules[home], name) for home, name in _KINDS if home in sys.modules)
    own: list[tuple[nn.Module, Any]] = [(one, type(one)) for one in model.modules() if isinstance(one, kinds)]
    try:
        for module, kind in own:
            module.__class__ = _unquantised(kind)
        yield
    finally:
        for module, kind in own:
            module.__class__ = kind
