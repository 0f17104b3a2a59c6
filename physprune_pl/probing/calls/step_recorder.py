"""Watches one real step of somebody's training, and says what in it the trace has not seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.operations.operations import layout_of, operands

_ORIGINS = "_physprune_origins"
_LOSSES = {
    getattr(functional, name): name
    for name in dir(functional)
    if name.endswith("_loss") or name.startswith(("cross_entropy", "binary_cross_entropy", "kl_div"))
}


class StepRecorder(TorchFunctionMode):
    """Follows which weights every tensor comes from, while a step runs as it always does.

    An operation passes the origins of its arguments on; one that mixes channels with a named weight starts anew with
    that weight. So the origins of what an unknown parameter reads are the weights whose channels it depends on.

    Args:
        names: ``id`` of a parameter -> its name.
        known: names of the parameters that the trace has seen.
    """

    def __init__(self, names: Mapping[int, str], known: Collection[str]) -> None:
        super().__init__()
        self._names, self._known = names, known
        self._unseen: dict[str, set[str]] = defaultdict(set)
        self._compared: dict[str, set[str]] = defaultdict(set)

    @property
    def unseen(self) -> dict[str, set[str]]:
        """Parameter that the trace has not seen -> names of the weights whose channels it reads."""
        return dict(self._unseen)

    @property
    def compared(self) -> dict[str, set[str]]:
        """Loss that compares channels with data -> names of the weights that the channels are of."""
        return dict(self._compared)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and note where its result comes from."""
        kwargs = kwargs or {}
        inputs = tensors_in([args, kwargs])
        given: list[frozenset[str]] = [getattr(tensor, _ORIGINS, frozenset()) for tensor in inputs]
        origins = frozenset().union(*given)
        if func in _LOSSES and not all(given):
            self._compared[_LOSSES[func]] |= origins
        for name in (self._names.get(id(tensor)) for tensor in inputs):
            if name is not None and name not in self._known:
                self._unseen[name] |= origins
        output = func(*args, **kwargs)
        layout = layout_of(func, args, kwargs)
        source = None if layout is None else self._names.get(id(operands(func, args, kwargs)[1]))
        self._mark(output, origins if source is None else frozenset([source]))
        return output

    def _mark(self, output: object, origins: frozenset[str]) -> None:
        if isinstance(output, Tensor | tuple | list):
            for tensor in tensors_in(output):
                if id(tensor) not in self._names and tensor.is_floating_point():
                    setattr(tensor, _ORIGINS, origins)
