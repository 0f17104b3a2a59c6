"""Memory for gradients that is handed out again at the next step."""

from __future__ import annotations

import torch
from torch import Tensor


class Reused:
    """One tensor, handed out for as long as nobody else holds it or a part of it; then another one.

    Optimizers drop gradients after every step. Asking the operating system for that memory again costs more than
    filling it. On devices whose memory torch itself keeps, every tensor is a new one.

    Args:
        shape: of the tensor.
        dtype: its number type.
        device: where it lives.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device
        self._tensor: Tensor | None = None
        self._alone = 0

    def take(self) -> Tensor:
        """Return a tensor whose values are not defined, and which nobody else holds."""
        if self._tensor is None or _holders(self._tensor) != self._alone:
            tensor = torch.empty(self.shape, dtype=self.dtype, device=self.device)
            if self.device.type != "cpu":
                return tensor
            self._tensor, self._alone = tensor, _holders(tensor)
        # Only another tensor on the same memory can be counted.
        return self._tensor.view(self.shape)


def _holders(tensor: Tensor) -> int:
    """Count who holds the memory of a tensor: views, other tensors on it, and arrays made from it are among them."""
    holders: int = torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)
    return holders
