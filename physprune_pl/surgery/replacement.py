"""Other data for a tensor that everybody goes on holding, which no autograd graph of before can break or spoil."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge, increment_version

from physprune_pl.networks.example import memory_format_of
from physprune_pl.networks.taking import taken

_OLD_LOSS = (
    "this loss was computed before the network was cut, and its gradients have the shapes of before: compute it anew "
    "with the network as it is now"
)


def replace_data(tensor: Tensor, value: Tensor) -> None:
    """Give a parameter or buffer data of another shape; the object, its hooks and ``requires_grad`` stay.

    torch keeps one node for every parameter that adds to its ``.grad``, and with it the shape, as long as anybody
    holds a loss that was computed with it. The next backward would meet that node and fail. It is forgotten when the
    type changes, so the data takes a detour over an empty tensor of another type.

    Whoever calls ``backward`` on a loss of before gets a RuntimeError, and no gradient is written.

    Args:
        tensor: the parameter or buffer; its gradient is dropped.
        value: what it is to hold.

    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> old = weight.sum()
    >>> replace_data(weight, torch.ones(2))
    >>> weight.sum().backward()
    >>> weight.grad
    tensor([1., 1.])
    """
    tensor.grad = None
    _refuse_gradients_of_before(tensor)
    other = torch.float32 if value.dtype != torch.float32 else torch.float16
    tensor.data = value.new_empty(0, dtype=other)
    tensor.data = value
    # Operations that saved the tensor for their backward compare versions.
    increment_version(tensor)
    # Autocast may have a copy in a smaller type at hand.
    torch.clear_autocast_cache()


def shrink(tensor: Tensor, keep: Mapping[int, Sequence[int]]) -> Tensor:
    """The part of a tensor that stays, given dimension -> indices, in its memory format."""
    smaller = tensor
    for dim, kept in keep.items():
        smaller = taken(smaller, dim, torch.tensor(kept, device=tensor.device))
    return stored_like(smaller, tensor)


def stored_like(new: Tensor, old: Tensor) -> Tensor:
    """The same values, in the memory format of another tensor."""
    return new.contiguous(memory_format=memory_format_of(old))


def hooked_nodes(parameters: Mapping[str, Tensor]) -> list[str]:
    """Names of the parameters whose node in the autograd graph somebody holds, as one has to who puts a hook on it.

    :func:`replace_data` makes torch use a new node, on which such a hook does not fire. Hooks on the parameter itself
    (``register_hook``, ``register_post_accumulate_grad_hook``) do.

    >>> weights = {name: torch.nn.Parameter(torch.ones(3)) for name in ("one", "two")}
    >>> hooks = torch.autograd.graph.register_multi_grad_hook([weights["two"]], print)
    >>> hooked_nodes(weights)
    ['two']
    """
    held = {id(one.variable) for one in gc.get_objects() if type(one) is _NODE}
    return [name for name, parameter in parameters.items() if id(parameter) in held]


def hooks_are_lost(names: Sequence[str]) -> str:
    """What to say of parameters that :func:`hooked_nodes` has found."""
    return (
        f"hooks on the nodes of {len(names)} parameters in the autograd graph, {names[0]!r} for one (of grad_fn or "
        f"register_multi_grad_hook), do not fire after the cut: put them on the parameters, with register_hook or "
        f"register_post_accumulate_grad_hook"
    )


_NODE: Any = type(get_gradient_edge(torch.empty(0, requires_grad=True)).node)


def _refuse_gradients_of_before(tensor: Tensor) -> None:
    if tensor.grad_fn is not None:
        tensor.detach_()
    elif tensor.is_floating_point() or tensor.is_complex():
        trains = tensor.requires_grad
        get_gradient_edge(tensor.requires_grad_()).node.register_prehook(_refuse)
        tensor.requires_grad_(trains)


def _refuse(*_: Any) -> NoReturn:
    raise RuntimeError(_OLD_LOSS)
