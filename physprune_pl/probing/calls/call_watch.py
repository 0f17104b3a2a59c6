"""Tells the calls of a network's parts from what somebody's program computes around them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.calls import Call
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in

_WEIGHTS = "_physprune_weights"
_BACKWARD = {Tensor.backward, torch.autograd.backward}
Names = frozenset[str]


class Mark(NamedTuple):
    """Where a tensor comes from.

    Attributes:
        part: path of the part of the network that put it out; None: an operation outside of all parts.
        call: how many calls of the part came before.
        place: its place among the tensors that the call put out.
    """

    part: str | None
    call: int
    place: int


@dataclass
class _Running:
    """A call that has begun and not ended.

    Attributes:
        module: the part.
        call: how many calls of it came before.
        error: what was being handled when it began.
        opened: whether its ``forward`` runs.
    """

    module: nn.Module
    call: int
    error: BaseException | None
    opened: bool = False


class CallWatch(TorchFunctionMode):
    """Watches a program that runs a network, for the outermost calls of parts and for weights used outside of all.

    A part is a module with a watched parameter in it. An operation counts as a call of its own where data meet a
    watched parameter outside of all parts. What is made of weights alone, such as a penalty on them, does not count,
    nor does a number without dimensions. A backward pass is not made: it only tells what it starts from.

    Args:
        network: a copy; its parts have hooks for as long as the watch lasts.
        watched: names of parameters.

    Attributes:
        losses: what backward passes started from.
    """

    def __init__(self, network: nn.Module, watched: Collection[str]) -> None:
        super().__init__()
        self.tensors = named_tensors(network)
        self.names = {id(tensor): name for name, tensor in self.tensors.items()}
        self.watched = frozenset(watched)
        self.parts = _parts(network, {id(self.tensors[name]) for name in self.watched})
        self.losses: list[Tensor] = []
        self._counts: Counter[str | None] = Counter()
        self._stack: list[_Running] = []
        self._handles: list[Any] = []
        self._patched: list[nn.Module] = []

    def begin(self, call: Call) -> None:
        """Take note of an outermost call before it is made."""

    def put_out(self, marks: Sequence[tuple[Mark, Tensor]], outermost: bool) -> None:
        """Take note of what a call has put out, of which numbers with a fraction are marked."""

    def operated(self, func: Callable[..., Any], args: tuple[Any, ...], inputs: list[Tensor], output: Any) -> None:
        """Take note of an operation that is no call."""

    def __enter__(self) -> CallWatch:
        for module in self.parts:
            before = module.register_forward_pre_hook(self._before, prepend=True, with_kwargs=True)
            after = module.register_forward_hook(self._after, always_call=True)
            self._handles += [before, after]
            if "forward" not in vars(module) and not isinstance(module, torch.jit.ScriptModule):
                vars(module)["forward"] = partial(self._forward, module, module.forward)
                self._patched.append(module)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        for module in self._patched:
            del vars(module)["forward"]

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._push(module, "__call__", args, kwargs)

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ARG002
        self._pop(output)

    def _forward(self, module: nn.Module, forward: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        called = bool(self._stack) and self._stack[-1].module is module and not self._stack[-1].opened
        if not called:
            self._push(module, "forward", args, kwargs)
        self._stack[-1].opened = True
        try:
            output = forward(*args, **kwargs)
        except BaseException:
            if not called:
                self._pop(None)
            raise
        if not called:
            self._pop(output)
        return output

    def _push(self, module: nn.Module, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        part = self.parts[module]
        if not self._stack:
            self.begin(Call(part, method, args, kwargs))
        self._stack.append(_Running(module, self._next(part), sys.exc_info()[1]))

    def _pop(self, output: Any) -> None:
        done = self._stack.pop()
        if sys.exc_info()[1] is done.error:  # else the call has failed, and whoever made it hears of that
            self._put_out(self.parts[done.module], done.call, output)

    def _next(self, part: str | None) -> int:
        self._counts[part] += 1
        return self._counts[part] - 1

    def _put_out(self, part: str | None, call: int, output: Any) -> None:
        own = [one for one in tensors_in(output) if one.is_floating_point() and id(one) not in self.names]
        self.put_out([(Mark(part, call, place), one) for place, one in enumerate(own)], not self._stack)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation."""
        kwargs = kwargs or {}
        if func in _BACKWARD:
            return self._backward(tensors_in([args, kwargs]))
        if func is torch.autograd.grad and not torch.is_grad_enabled():
            return _no_slope(*args, **kwargs)
        inputs = tensors_in([args, kwargs])
        made_of = [self.weights_of(one) for one in inputs if one.dim()]
        weights = Names().union(*made_of)
        if not self._stack and weights & self.watched and not all(made_of):
            self.begin(Call(None, func, args, kwargs))
            output = func(*args, **kwargs)
            self._put_out(None, self._next(None), output)
            return output
        output = func(*args, **kwargs)
        if weights and all(made_of):
            self._mark_weights(output, weights)
        self.operated(func, args, inputs, output)
        return output

    def _backward(self, losses: list[Tensor]) -> None:
        self.losses += losses
        for name in self.watched:  # a step that makes its own steps may look at gradients
            if self.tensors[name].grad is None:
                self.tensors[name].grad = torch.zeros_like(self.tensors[name])

    def weights_of(self, tensor: Tensor) -> Names:
        """Return the names of the parameters and buffers that a tensor is made of; none where data has a part in it."""
        name = self.names.get(id(tensor))
        made_of: Names = getattr(tensor, _WEIGHTS, Names()) if name is None else Names([name])
        return made_of

    def _mark_weights(self, output: Any, weights: Names) -> None:
        if isinstance(output, Tensor | tuple | list):
            for tensor in tensors_in(output):
                if id(tensor) not in self.names:
                    setattr(tensor, _WEIGHTS, weights)


def _parts(network: nn.Module, watched: set[int]) -> dict[nn.Module, str]:
    """Return the modules with a watched parameter in them, and their paths."""
    return {
        module: name
        for name, module in network.named_modules()
        if any(id(parameter) in watched for parameter in module.parameters())
    }


def _no_slope(outputs: Any, inputs: Any, *_: Any, **__: Any) -> tuple[Tensor, ...]:
    """Stand in for a gradient where none can be had: 0, or NaN where the outputs are."""
    nothing = torch.stack([one.sum() * 0 for one in tensors_in([outputs])]).sum()
    return tuple(torch.zeros_like(one) + nothing for one in tensors_in([inputs]))
