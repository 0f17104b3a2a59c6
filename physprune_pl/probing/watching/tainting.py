"""NaN as a marker of channels: putting it in, finding it again, and knowing where in the model one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.networks.names import plain
from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.operations.operations import sealed

_PLAIN = (str, bytes, int, float, type(None), slice, torch.dtype, torch.device, nn.Module, type)
"""What holds no tensors that a call works on."""


def tensors_of_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return all tensors among the arguments of a call."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif not isinstance(value, _PLAIN):
            found.extend(tensors_in(value))
    return found


def along(mask: Tensor, axis: int) -> Tensor:
    """Return, for every index of an axis, whether any element there is set."""
    return mask.movedim(axis, 0).flatten(1).any(1) if mask.dim() > 1 else mask


def nan_along(tensor: Tensor, axis: int) -> Tensor:
    """Return, for every index of an axis, whether any element there is NaN.

    >>> nan_along(torch.tensor([[0.0, float("nan")], [1.0, float("inf")]]), 1).tolist()
    [False, True]
    """
    if tensor.dim() < 2 or not tensor.numel() or tensor.is_complex():
        return along(tensor.isnan(), axis)
    # The largest element is NaN if any is, and it is found several times faster than a mask is made and searched.
    return tensor.amax([dim for dim in range(tensor.dim()) if dim != axis % tensor.dim()]).isnan()


def has_nan(tensor: Tensor) -> bool:
    """Return whether any element is NaN; integer tensors never are."""
    return tensor.is_floating_point() and tensor.numel() > 0 and bool(tensor.amax().isnan())


def taint(tensor: Tensor, axis: int, mask: Tensor) -> Tensor:
    """Return a copy with NaN at the masked indices of an axis."""
    shape = [1] * tensor.dim()
    shape[axis] = -1
    return tensor.masked_fill(mask.to(tensor.device).view(shape), float("nan"))


def cleaned(tensor: Tensor) -> Tensor:
    """Return a tensor with 0 for NaN."""
    return torch.nan_to_num(tensor, nan=0.0) if tensor.is_floating_point() else tensor


class ModulePath:
    """Knows which module is running, so that an operation without parameters can be named."""

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: plain(name) for name, module in model.named_modules()}
        self._stack: list[str] = []
        self._handles: list[Any] = []

    @property
    def current(self) -> str:
        """Path of the innermost module that runs now."""
        return next((name for name in reversed(self._stack) if name), "the model's own forward")

    def __enter__(self) -> ModulePath:
        hooks = torch.nn.modules.module
        self._handles = [
            hooks.register_module_forward_pre_hook(self._push),  # type: ignore[arg-type]
            hooks.register_module_forward_hook(self._pop, always_call=True),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def start_again(self) -> None:
        """Forget the modules of a run that has ended inside them."""
        self._stack.clear()

    def _push(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self._stack.append(self._names.get(module, ""))
        # Compiled by TorchScript: no operation inside is seen.
        hidden = isinstance(module, torch.jit.ScriptModule) and next(module.parameters(), None) is not None
        return sealed(*inputs) if hidden else None

    def _pop(self, *_: object) -> None:
        if self._stack:
            self._stack.pop()
