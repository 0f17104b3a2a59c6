"""Keeps NaN away from operations that are not PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from physprune_pl.probing.operations.operations import NATIVE
from physprune_pl.probing.probe import Probe


class ForeignOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps NaN away from operations of other libraries: native code may use values as addresses."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.probe, self.met = probe, False

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation, a foreign one on clean data only."""
        # The probe must see the same calls whether or not this mode watches too: a scripted part has no others.
        with torch._C.DisableTorchFunction():
            if func.namespace in NATIVE:
                return func(*args, **(kwargs or {}))
            self.met = True
            if _by_channel(func, args):
                return func(*args, **(kwargs or {}))
            return self.probe.opaque_call(func, args, kwargs or {})


# They take values between those of the first tensor, channel by channel; the others say where.
_BY_CHANNEL = ("torchvision::roi_align", "torchvision::roi_pool")


def _by_channel(func: Any, args: tuple[Any, ...]) -> bool:
    """Return whether NaN passes a foreign operation channel by channel, and none says where to read."""
    places = [one for one in args[1:] if isinstance(one, Tensor)]
    return func.name().partition(".")[0] in _BY_CHANNEL and not any(bool(one.isnan().any()) for one in places)
